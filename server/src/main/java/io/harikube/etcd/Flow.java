package io.harikube.etcd;

import com.google.protobuf.MessageLite;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.Status;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One call, as the network sees it: what comes in, what goes out, and its end, whichever way it
 * ends.
 *
 * <pre>
 *   OPEN ── close() ──► CLOSING ── the client has taken all ──► ENDED
 *     │                    │                                      ▲
 *     └────────────────────┴── cancelled, broken off, given up ───┘
 * </pre>
 *
 * <p>Given up is a client that for a while takes nothing of what waits for it, or sends nothing of
 * a message that it has begun: its call is closed, and reset if that is of no avail, which frees
 * what waits. A client that there is nothing for is left alone, and so is one that is slow.
 *
 * <p>{@link #send} and {@link #close} are for any thread, the methods of a {@link Party} are called
 * on the event loop.
 */
final class Flow<Q, A> extends ServerCall.Listener<Q> {
  private static final Logger log = LoggerFactory.getLogger(Flow.class);

  /** Up to this size messages are not worth being counted: grpc-java holds so much itself. */
  private static final int BIG = 32 << 10;

  /** What gRPC has in front of a message. */
  private static final int FRAME_BYTES = 5;

  /** Parts of a message that are smaller are not counted before the others that come with them. */
  private static final int PART = 16 << 10;

  private static final long SECOND = 1_000_000_000L;

  /** Whoever answers the call. */
  interface Party<Q> {
    void request(Q request);

    /** No more requests will come. */
    void lastRequest();

    /** The client takes more again. */
    void room();

    /** The call has ended, by whatever cause; comes once. */
    void ended();

    /** The client has taken nothing for too long; the call is about to be closed. */
    default void stalled() {}

    /** Whether somebody still works for the call after it has ended; it is told to stop then. */
    default boolean isBusy() {
      return false;
    }

    /** Stops whoever works for a call that has ended a while ago. */
    default void interrupt() {}

    /** Whether what is sent is counted against memory that others wait for. */
    default boolean isLarge() {
      return false;
    }

    /** The network has taken some of what was sent; this much is left. */
    default void taken(long left) {}
  }

  private final ServerCall<Q, A> call;
  private final Peer peer;
  private final Traffic traffic;
  private final @Nullable Inbound inbound;
  private final ReentrantLock sending = new ReentrantLock();
  private final ReentrantLock waiting = new ReentrantLock();
  private final Condition changed = waiting.newCondition();
  private final AtomicLong handedOver = new AtomicLong();
  private @Nullable Party<Q> party;
  private boolean started;
  private volatile boolean closed;
  private volatile boolean ended;
  private volatile boolean interrupted;
  private volatile boolean expecting;
  private volatile long moved;

  // What has come of a message; changed on the event loop.
  private volatile long unfinished;
  private volatile long unfinishedSince;
  private long counted;
  private int size;

  Flow(ServerCall<Q, A> call, Traffic traffic) {
    this.call = call;
    this.traffic = traffic;
    this.peer = traffic.peer(call);
    this.moved = traffic.now();
    this.inbound = Inbound.KEY.get();
    if (inbound != null) {
      inbound.flow(this);
    }
  }

  /** Begins; to be called once, before the handler of the call returns. */
  void begin(Party<Q> answerer) {
    party = answerer;
    if (!peer.open(this)) {
      close(Errors.TOO_MANY_REQUESTS);
    }
  }

  Peer peer() {
    return peer;
  }

  /** The bytes of the request that came last. */
  int requestBytes() {
    return size;
  }

  /** Takes so many more requests from the client. */
  void ask(int requests) {
    call.request(requests);
  }

  /** For calls with one request, which a client must send soon. */
  void expect() {
    expecting = true;
    ask(2);
  }

  boolean isReady() {
    return !closed && call.isReady();
  }

  /** Whether nobody listens any more. */
  boolean isEnded() {
    return ended || call.isCancelled();
  }

  // What goes out.

  /** Sends a message, if somebody still listens. */
  void send(A message) {
    sending.lock();
    try {
      if (closed || ended) {
        return;
      }
      if (!started) {
        started = true;
        call.sendHeaders(new Metadata());
      }
      if (handedOver.get() == 0) {
        moved = traffic.now();
      }
      if (message instanceof MessageLite sized && sized.getSerializedSize() > BIG) {
        long bytes = (long) sized.getSerializedSize() + FRAME_BYTES;
        NetworkBuffers.counting(bytes, this::handed, () -> call.sendMessage(message));
        moved = System.nanoTime();
      } else {
        call.sendMessage(message);
      }
    } finally {
      sending.unlock();
    }
  }

  /** Ends the call; the client first gets what was sent. */
  void close(Status status) {
    sending.lock();
    try {
      if (closed || ended) {
        return;
      }
      closed = true;
      call.close(status, new Metadata());
    } finally {
      sending.unlock();
    }
  }

  /** The bytes that the network has been handed and has not taken. */
  long handedOver() {
    return handedOver.get();
  }

  private void handed(int bytes) {
    long left = handedOver.addAndGet(bytes);
    if (bytes < 0) {
      moved = traffic.now();
      if (party != null) {
        party.taken(left);
      }
    }
  }

  /**
   * Waits until the client takes another message.
   *
   * @return false if it never will
   */
  boolean await() throws InterruptedException {
    waiting.lockInterruptibly();
    try {
      while (true) {
        if (isEnded() || closed) {
          return false;
        }
        if (call.isReady()) {
          return true;
        }
        changed.await();
      }
    } finally {
      waiting.unlock();
    }
  }

  private void wake() {
    waiting.lock();
    try {
      changed.signalAll();
    } finally {
      waiting.unlock();
    }
  }

  // What comes in.

  /** Bytes of a message have come. */
  void arriving(long bytes) {
    long before = unfinished;
    long now = before + bytes;
    moved = traffic.now();
    if (before == 0) {
      unfinishedSince = moved;
    }
    unfinished = now;
    size = (int) Math.min(Integer.MAX_VALUE, now);
    if (now - counted >= PART) {
      long more = now - counted;
      counted = now;
      peer.unfinished(more);
    }
  }

  private void arrived() {
    unfinished = 0;
    if (counted > 0) {
      peer.unfinished(-counted);
      counted = 0;
    }
  }

  long unfinishedBytes() {
    return unfinished;
  }

  long unfinishedSince() {
    return unfinishedSince;
  }

  /** Gives the message up that has not come to its end. */
  void dropUnfinished() {
    peer.onLoop(
        () -> {
          if (unfinished > 0 && !ended) {
            close(Errors.TOO_MANY_REQUESTS);
            reset();
          }
        });
  }

  @Override
  public void onMessage(@Nullable Q request) {
    arrived();
    expecting = false;
    if (request == null) {
      Errors.malformed(call.getMethodDescriptor().getFullMethodName());
      close(Errors.MALFORMED);
      return;
    }
    if (party != null && !closed) {
      party.request(request);
    }
  }

  @Override
  public void onHalfClose() {
    expecting = false;
    if (party != null && !closed) {
      party.lastRequest();
    }
  }

  @Override
  public void onReady() {
    moved = traffic.now();
    wake();
    if (party != null && !closed) {
      party.room();
    }
  }

  @Override
  public void onCancel() {
    end();
  }

  @Override
  public void onComplete() {
    end();
  }

  private void end() {
    if (ended) {
      return;
    }
    ended = true;
    moved = System.nanoTime();
    arrived();
    peer.closed();
    wake();
    try {
      if (party != null) {
        party.ended();
      }
    } finally {
      forgetIfIdle();
    }
  }

  /** The party works for the call no more. */
  void forgetIfIdle() {
    if (ended && (party == null || !party.isBusy())) {
      peer.forget(this);
    }
  }

  /** Looks whether the call is stuck, on the thread that looks at all of them. */
  void sweep(long now, long patience, long patienceIfLarge) {
    if (ended) {
      if (party != null && party.isBusy()) {
        if (!interrupted && now - moved > SECOND) {
          interrupted = true;
          party.interrupt();
        }
      } else {
        peer.forget(this);
      }
      return;
    }
    long still = now - moved;
    boolean sends = expecting || unfinished > 0;
    boolean waits = closed || (started && !call.isReady());
    long limit = party != null && party.isLarge() ? patienceIfLarge : patience;
    if (still > limit && (waits || sends)) {
      giveUp(waits ? "takes nothing of what it is sent" : "does not finish its request");
    }
  }

  private void giveUp(String why) {
    log.debug("The client of {} {}", call.getMethodDescriptor().getFullMethodName(), why);
    // Not on this thread: whoever sends just now holds the lock, and all others would wait.
    Thread.ofVirtual()
        .name("etcd-give-up")
        .start(
            () -> {
              if (closed) {
                reset();
              } else if (party != null) {
                party.stalled();
                close(Errors.GIVEN_UP);
              }
            });
  }

  private void reset() {
    if (inbound != null) {
      inbound.reset();
    }
  }
}
