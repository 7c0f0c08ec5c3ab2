package io.harikube.etcd;

import static java.util.Objects.requireNonNull;

import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.harikube.store.MemoryBudget;
import io.netty.util.concurrent.EventExecutor;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A call that is to be answered, and the memory of the answer.
 *
 * <p>The memory is given back when two are done with it: whoever makes the answer, which is when
 * {@link #send}, {@link #end} or {@link #fail} has been called; and the network, which is when the
 * call is closed or cancelled. Until the first is done, only its thread touches the share, also
 * after the client has gone.
 *
 * <p>An answer of one message is sent on the event loop of its connection, all of it in one turn.
 * From another thread, its header, its message and its status each wake the event loop, and are
 * written to the network one by one if that is idle.
 */
final class Answer<A> {
  private static final long BIG = 64 << 10;

  private final ServerCallStreamObserver<A> call;
  private final MemoryBudget.Share share;
  private final @Nullable ReadyGate gate;
  private final EventExecutor loop;
  private @Nullable Backlog backlog;
  private int waiting;
  private volatile @Nullable Runnable whenClosed;
  private boolean answered;
  private final AtomicInteger holders = new AtomicInteger(2);

  private Answer(
      ServerCallStreamObserver<A> call,
      MemoryBudget budget,
      @Nullable ReadyGate gate,
      EventExecutor loop) {
    this.call = call;
    this.share = budget.open();
    this.gate = gate;
    this.loop = loop;
    call.setOnCloseHandler(this::closed);
    call.setOnCancelHandler(this::closed);
  }

  /**
   * An answer of one message; to be made by the handler of the call, before it returns.
   *
   * @param loop the event loop of the connection
   */
  static <A> Answer<A> single(StreamObserver<A> call, MemoryBudget budget, EventExecutor loop) {
    return new Answer<>((ServerCallStreamObserver<A>) call, budget, null, loop);
  }

  /** An answer in parts; to be made by the handler of the call, before it returns. */
  static <A> Answer<A> parts(StreamObserver<A> call, MemoryBudget budget, EventExecutor loop) {
    var server = (ServerCallStreamObserver<A>) call;
    var gate = new ReadyGate(server);
    server.setOnReadyHandler(gate::wake);
    return new Answer<>(server, budget, gate, loop);
  }

  /** What the memory of the answer is counted against. */
  MemoryBudget.Share share() {
    return share;
  }

  /**
   * Waits until {@code bytes} of the budget are free and takes them, or takes all of it if it is
   * smaller than that: for answers whose memory is known before.
   */
  void reserve(long bytes) {
    share.restart(Math.min(bytes, share.capacity()));
  }

  /**
   * Counts the request among those that wait for the store, until it is answered.
   *
   * @throws io.grpc.StatusRuntimeException if too many wait
   */
  void enter(Backlog requests, int bytes) {
    requests.enter(bytes);
    backlog = requests;
    waiting = bytes;
  }

  /** Runs {@code action} when nobody waits for the answer any more; it replaces an earlier one. */
  void whenClosed(Runnable action) {
    whenClosed = action;
    if (call.isCancelled()) {
      action.run();
    }
  }

  /** Whether nobody waits for the answer any more. */
  boolean isCancelled() {
    return call.isCancelled();
  }

  /** The one answer of the call. */
  void send(A answer) {
    if (share.held() > BIG) {
      sendHere(answer);
    } else {
      onLoop(() -> sendHere(answer));
    }
  }

  private void sendHere(A answer) {
    try {
      call.onNext(answer);
      call.onCompleted();
    } finally {
      answered();
    }
  }

  private void onLoop(Runnable sending) {
    if (loop.inEventLoop()) {
      sending.run();
      return;
    }
    try {
      loop.execute(
          () -> {
            try {
              sending.run();
            } catch (RuntimeException | Error e) {
              call.onError(Errors.of(e).asRuntimeException());
            }
          });
    } catch (RejectedExecutionException e) {
      // The server is being closed.
      sending.run();
    }
  }

  /**
   * A part of an answer that comes in many; waits until the client has taken the parts before.
   *
   * @return false if the client has gone
   */
  boolean push(A part) throws InterruptedException {
    if (!requireNonNull(gate).await()) {
      return false;
    }
    call.onNext(part);
    return true;
  }

  /** All parts have been pushed. */
  void end() {
    try {
      call.onCompleted();
    } finally {
      answered();
    }
  }

  void fail(Throwable failure) {
    fail(Errors.of(failure));
  }

  void fail(Status status) {
    onLoop(
        () -> {
          try {
            call.onError(status.asRuntimeException());
          } finally {
            answered();
          }
        });
  }

  /**
   * Answers when {@code future} is completed; a big answer on a virtual thread, so as not to hold
   * up other calls.
   */
  <T> void sendWhen(CompletableFuture<T> future, Function<T, A> answer) {
    var _ =
        future.whenComplete(
            (value, failure) -> {
              if (failure != null) {
                fail(failure);
              } else if (share.held() > BIG) {
                Thread.ofVirtual().name("etcd-answer").start(() -> sendResult(value, answer));
              } else {
                onLoop(() -> sendResult(value, answer));
              }
            });
  }

  private <T> void sendResult(T value, Function<T, A> answer) {
    A message;
    try {
      message = answer.apply(value);
    } catch (RuntimeException e) {
      fail(e);
      return;
    }
    send(message);
  }

  private void answered() {
    if (!answered) {
      answered = true;
      if (backlog != null) {
        backlog.leave(waiting);
      }
      release();
    }
  }

  private void closed() {
    if (gate != null) {
      gate.wake();
    }
    Runnable action = whenClosed;
    if (action != null) {
      action.run();
    }
    release();
  }

  private void release() {
    if (holders.decrementAndGet() == 0) {
      share.close();
    }
  }
}
