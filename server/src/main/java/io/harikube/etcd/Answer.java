package io.harikube.etcd;

import io.grpc.Status;
import io.harikube.store.MemoryBudget;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A call with one request that is to be answered, and the memory of the answer.
 *
 * <p>The memory is given back as the network takes the answer, once two are done with it: whoever
 * makes the answer, which is when {@link #send}, {@link #end} or {@link #fail} has been called; and
 * the network, which is when the call has ended. Until the first is done, only its thread touches
 * the share, also after the client has gone.
 *
 * <p>An answer of one message is sent on the event loop of its connection, all of it in one turn.
 * From another thread, its header, its message and its status each wake the event loop, and are
 * written to the network one by one if that is idle.
 */
final class Answer<A> {
  private static final long BIG = 64 << 10;

  private final Flow<?, A> flow;
  private final Lane lane;
  private final MemoryBudget.Share share;
  private final int requestBytes;
  private final int weight;
  private final AtomicInteger holders = new AtomicInteger(2);
  private final AtomicBoolean counted = new AtomicBoolean(true);
  private volatile @Nullable Runnable whenClosed;
  private volatile @Nullable Thread reader;
  private volatile boolean answered;

  /**
   * @param flow of a call whose request has been let in
   * @param lane where it waits and runs
   * @param weight that it has there
   */
  Answer(Flow<?, A> flow, Lane lane, int weight) {
    this.flow = flow;
    this.lane = lane;
    this.share = flow.peer().share();
    this.requestBytes = flow.requestBytes();
    this.weight = weight;
  }

  /** What the memory of the answer is counted against. */
  MemoryBudget.Share share() {
    return share;
  }

  /** A share beside that of the answer; to be closed. */
  MemoryBudget.Share anotherShare() {
    return flow.peer().share();
  }

  /**
   * Waits until {@code bytes} of the budget are free and takes them, or takes all of it if it is
   * smaller than that: for answers whose memory is known before.
   */
  void reserve(long bytes) {
    share.restart(Math.min(bytes, share.capacity()));
  }

  /**
   * The call waits, not for the store but for what other clients do, and for as long as they like:
   * it holds no memory and keeps no other request from being run.
   */
  void waitForOthers() {
    share.close();
    leave();
  }

  /** Runs {@code action} when nobody waits for the answer any more; it replaces an earlier one. */
  void whenClosed(Runnable action) {
    whenClosed = action;
    if (flow.isEnded()) {
      action.run();
    }
  }

  /** Whether nobody waits for the answer any more. */
  boolean isCancelled() {
    return flow.isEnded();
  }

  /** Answers, or throws why it cannot. */
  interface Work {
    void run() throws Exception;
  }

  /** Does work that answers; if it throws, that is the answer. */
  void attempt(Work work) {
    try {
      work.run();
    } catch (Throwable e) {
      fail(e);
    }
  }

  /**
   * Does work that blocks, on a virtual thread; it is stopped when nobody waits for the answer any
   * more.
   */
  void block(Work work) {
    Thread.ofVirtual()
        .name("etcd-call")
        .start(
            () -> {
              reader = Thread.currentThread();
              if (flow.isEnded()) {
                share.cancel();
              }
              attempt(work);
            });
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
      flow.send(answer);
      flow.close(Status.OK);
    } finally {
      answered();
    }
  }

  private void onLoop(Runnable sending) {
    Peer peer = flow.peer();
    if (peer.loop().inEventLoop()) {
      sending.run();
      return;
    }
    peer.onLoop(
        () -> {
          try {
            sending.run();
          } catch (RuntimeException | Error e) {
            flow.close(Errors.of(e));
          }
        });
  }

  /**
   * A part of an answer that comes in many; waits until the client has taken the parts before.
   *
   * @return false if the client has gone
   */
  boolean push(A part) throws InterruptedException {
    if (!flow.await()) {
      return false;
    }
    flow.send(part);
    return true;
  }

  /** All parts have been pushed. */
  void end() {
    fail(Status.OK);
  }

  void fail(Throwable failure) {
    fail(Errors.of(failure));
  }

  void fail(Status status) {
    onLoop(
        () -> {
          try {
            flow.close(status);
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
    if (flow.isEnded()) {
      answered();
      return;
    }
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
      reader = null;
      answered = true;
      leave();
      release();
      flow.forgetIfIdle();
    }
  }

  private void leave() {
    if (counted.getAndSet(false)) {
      flow.peer().leave(requestBytes);
      lane.ended(weight);
    }
  }

  private void release() {
    if (holders.decrementAndGet() == 0) {
      share.close();
    }
  }

  // What the flow tells.

  /** The call has ended: the client has all, or has gone. */
  void ended() {
    if (reader != null) {
      share.cancel();
    }
    Runnable action = whenClosed;
    if (action != null) {
      action.run();
    }
    release();
  }

  boolean isBusy() {
    return !answered;
  }

  void interrupt() {
    Thread thread = reader;
    if (thread != null) {
      thread.interrupt();
    }
  }

  boolean isLarge() {
    return answered && share.isLarge();
  }

  /** The network has taken some of the answer: what it has is not needed any more. */
  void taken(long left) {
    if (answered && holders.get() == 1 && !flow.isEnded()) {
      share.shrink(left);
    }
  }
}
