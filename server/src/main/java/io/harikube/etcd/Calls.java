package io.harikube.etcd;

import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/** The ways in which a handler answers a call. */
final class Calls {
  private final Traffic traffic;

  Calls(Traffic traffic) {
    this.traffic = traffic;
  }

  /** Answers a call, by whatever thread and at whatever time. */
  @FunctionalInterface
  interface Handler<Q, A> {
    void handle(Q request, Answer<A> answer) throws Exception;
  }

  /** Runs the handler on the event loop: it must not block, and answers later. */
  <Q, A> ServerCallHandler<Q, A> async(Handler<Q, A> handler) {
    return one(handler, _ -> 0, false, false);
  }

  /**
   * The same for requests that may be much work.
   *
   * @param scans how many ranges the store has to be asked for
   */
  <Q, A> ServerCallHandler<Q, A> async(Handler<Q, A> handler, ToIntFunction<Q> scans) {
    return one(handler, scans, false, false);
  }

  /** Answers with what the handler computes, on the event loop: it must not block. */
  <Q, A> ServerCallHandler<Q, A> direct(Function<Q, A> handler) {
    return async((request, answer) -> answer.send(handler.apply(request)));
  }

  /** Runs the handler on a virtual thread: it may block, and answer in parts. */
  <Q, A> ServerCallHandler<Q, A> blocking(Handler<Q, A> handler) {
    return one(handler, _ -> 0, true, true);
  }

  /** As {@link #async}, for what reads: it waits with those that read, and not with changes. */
  <Q, A> ServerCallHandler<Q, A> reading(Handler<Q, A> handler) {
    return one(handler, _ -> 0, true, false);
  }

  /** A stream of requests. */
  <Q, A> ServerCallHandler<Q, A> stream(Function<Flow<Q, A>, Flow.Party<Q>> session) {
    return (call, _) -> {
      Flow<Q, A> flow = new Flow<>(call, traffic);
      flow.begin(session.apply(flow));
      return flow;
    };
  }

  private <Q, A> ServerCallHandler<Q, A> one(
      Handler<Q, A> handler, ToIntFunction<Q> scans, boolean reads, boolean blocks) {
    return (call, _) -> {
      Flow<Q, A> flow = new Flow<>(call, traffic);
      flow.begin(new One<>(flow, handler, scans, reads, blocks));
      flow.expect();
      return flow;
    };
  }

  /** A call with one request. */
  private static final class One<Q, A> implements Flow.Party<Q> {
    private final Flow<Q, A> flow;
    private final Handler<Q, A> handler;
    private final ToIntFunction<Q> scans;
    private final boolean reads;
    private final boolean blocks;
    private @Nullable Q request;
    private @Nullable Answer<A> answer;

    One(
        Flow<Q, A> flow,
        Handler<Q, A> handler,
        ToIntFunction<Q> scans,
        boolean reads,
        boolean blocks) {
      this.flow = flow;
      this.handler = handler;
      this.scans = scans;
      this.reads = reads;
      this.blocks = blocks;
    }

    @Override
    public void request(Q value) {
      request = value;
    }

    @Override
    public void lastRequest() {
      Q asked = request;
      request = null;
      if (asked == null) {
        flow.close(Status.INTERNAL.withDescription("Half-closed without a request"));
      } else if (!flow.peer().admit(flow.requestBytes())) {
        flow.close(Errors.TOO_MANY_REQUESTS);
      } else {
        Lane lane = flow.peer().lane(reads);
        int weight = Lane.weight(flow.requestBytes(), scans.applyAsInt(asked));
        Answer<A> answering = new Answer<>(flow, lane, weight);
        answer = answering;
        lane.run(weight, () -> run(asked, answering));
      }
    }

    private void run(Q asked, Answer<A> answering) {
      if (answering.isCancelled()) {
        answering.fail(Errors.CANCELED);
      } else if (blocks) {
        answering.block(() -> handler.handle(asked, answering));
      } else {
        answering.attempt(() -> handler.handle(asked, answering));
      }
    }

    @Override
    public void room() {}

    @Override
    public void ended() {
      if (answer != null) {
        answer.ended();
      }
    }

    @Override
    public boolean isBusy() {
      return answer != null && answer.isBusy();
    }

    @Override
    public void interrupt() {
      if (answer != null) {
        answer.interrupt();
      }
    }

    @Override
    public boolean isLarge() {
      return answer != null && answer.isLarge();
    }

    @Override
    public void taken(long left) {
      if (answer != null) {
        answer.taken(left);
      }
    }
  }
}
