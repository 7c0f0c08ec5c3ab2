package io.harikube.etcd;

import io.grpc.ServerCallHandler;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.harikube.store.MemoryBudget;
import java.util.function.Function;

/** The three ways in which a handler answers a call that has one request. */
final class Calls {
  private final MemoryBudget budget;
  private final EventLoops loops;

  Calls(MemoryBudget budget, EventLoops loops) {
    this.budget = budget;
    this.loops = loops;
  }

  private <A> Answer<A> single(StreamObserver<A> call) {
    return Answer.single(call, budget, loops.current());
  }

  /** Answers a call, by whatever thread and at whatever time. */
  @FunctionalInterface
  interface Handler<Q, A> {
    void handle(Q request, Answer<A> answer) throws Exception;
  }

  /** Runs the handler on the event loop: it must not block, and answers later. */
  <Q, A> ServerCallHandler<Q, A> async(Handler<Q, A> handler) {
    return ServerCalls.asyncUnaryCall((request, call) -> handle(handler, request, single(call)));
  }

  /** Answers with what the handler computes, on the event loop: it must not block. */
  <Q, A> ServerCallHandler<Q, A> direct(Function<Q, A> handler) {
    return async((request, answer) -> answer.send(handler.apply(request)));
  }

  /** Runs the handler on a virtual thread: it may block. */
  <Q, A> ServerCallHandler<Q, A> blocking(Handler<Q, A> handler) {
    return ServerCalls.asyncUnaryCall((request, call) -> spawn(handler, request, single(call)));
  }

  /** Runs the handler on a virtual thread: it may block, and answers in parts. */
  <Q, A> ServerCallHandler<Q, A> streaming(Handler<Q, A> handler) {
    return ServerCalls.asyncServerStreamingCall(
        (request, call) -> spawn(handler, request, Answer.parts(call, budget, loops.current())));
  }

  private static <Q, A> void spawn(Handler<Q, A> handler, Q request, Answer<A> answer) {
    Thread.ofVirtual()
        .name("etcd-call")
        .start(
            () -> {
              if (answer.isCancelled()) {
                answer.fail(Errors.CANCELED);
              } else {
                handle(handler, request, answer);
              }
            });
  }

  /** A handler that throws has not answered. */
  private static <Q, A> void handle(Handler<Q, A> handler, Q request, Answer<A> answer) {
    try {
      handler.handle(request, answer);
    } catch (Throwable e) {
      answer.fail(e);
    }
  }
}
