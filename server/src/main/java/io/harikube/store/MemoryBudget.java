package io.harikube.store;

import static java.util.Objects.requireNonNull;

import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A ceiling for the bytes of all answers in flight.
 *
 * <p>An answer takes its {@link Share} and lets it grow while it is read. A share never waits while
 * it holds something, so that shares cannot wait for each other: whoever finds no room to grow
 * drops what it has read, and asks for the whole of what it needs at once with {@link
 * Share#restart}, which waits its turn, first come, first served.
 *
 * <p>A part of the budget is kept for small answers, so that they never wait for big ones. Of that
 * part, one {@link Client} gets at most half of what is left, and always a little: a client that
 * asks for much leaves enough for the others, without anybody being counted.
 */
public final class MemoryBudget {
  /** How large a small answer can be, in bytes. */
  public static final long SMALL = 1 << 20;

  /** What a client may always hold in small answers, in bytes. */
  private static final long ALWAYS = 128 << 10;

  private static final String GIVEN_UP = "the request was given up";

  private final long capacity;
  private final long large;
  private final long reserve;
  private final AtomicLong small = new AtomicLong();
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Waiter> waiters = new ArrayDeque<>();
  private long used;

  private final class Waiter {
    final long bytes;
    final Condition granted = lock.newCondition();
    boolean done;

    Waiter(long bytes) {
      this.bytes = bytes;
    }
  }

  /**
   * A budget without a part for small answers.
   *
   * @param capacity the ceiling in bytes
   */
  public MemoryBudget(long capacity) {
    this(capacity, 0);
  }

  /**
   * @param capacity the ceiling in bytes
   * @param reserve what of it is for small answers only
   */
  public MemoryBudget(long capacity, long reserve) {
    this.capacity = capacity;
    this.reserve = reserve;
    this.large = capacity - reserve;
  }

  public long capacity() {
    return capacity;
  }

  /** The bytes held now. */
  public long used() {
    lock.lock();
    try {
      return used + small.get();
    } finally {
      lock.unlock();
    }
  }

  /** How many shares wait for their turn now. */
  public int waiting() {
    lock.lock();
    try {
      return waiters.size();
    } finally {
      lock.unlock();
    }
  }

  /** Someone who asks for answers. */
  public Client client() {
    return new Client();
  }

  /** A share, for someone who has no other, that holds nothing yet. */
  public Share open() {
    return client().open();
  }

  private void release(long bytes) {
    lock.lock();
    try {
      used -= bytes;
      grant();
    } finally {
      lock.unlock();
    }
  }

  /** Serves those who wait, as far as there is room. The lock is held. */
  private void grant() {
    while (!waiters.isEmpty() && requireNonNull(waiters.peek()).bytes <= large - used) {
      Waiter next = requireNonNull(waiters.poll());
      used += next.bytes;
      next.done = true;
      next.granted.signal();
    }
  }

  /** Whoever shares what there is for small answers with others, such as a connection. */
  public final class Client {
    private final AtomicLong held = new AtomicLong();

    private Client() {}

    /** A share that holds nothing yet. */
    public Share open() {
      return new Share(this);
    }

    /** Takes from the reserve, if this client may. */
    private boolean take(long bytes) {
      if (reserve == 0) {
        return false;
      }
      long mine = held.addAndGet(bytes);
      long all = small.addAndGet(bytes);
      if (mine <= Math.max(ALWAYS, (reserve - all + mine) / 2)) {
        return true;
      }
      give(bytes);
      return false;
    }

    private void give(long bytes) {
      held.addAndGet(-bytes);
      small.addAndGet(-bytes);
    }
  }

  /**
   * The bytes of one answer. To be used by one thread at a time; only {@link #cancel} is for any.
   */
  public final class Share implements AutoCloseable {
    private final Client client;
    private long held;
    private boolean reserved;
    private volatile boolean cancelled;
    private @Nullable Waiter waiter;

    private Share(Client client) {
      this.client = client;
    }

    /** The most that any share can hold. */
    public long capacity() {
      return large;
    }

    /** The bytes that this share holds. */
    public long held() {
      return held;
    }

    /** Whether the share holds more than a small answer needs, which others may wait for. */
    public boolean isLarge() {
      return held > 0 && !reserved;
    }

    /**
     * Nobody wants the answer any more: the share grows no more, and whoever waits for it stops
     * waiting.
     */
    public void cancel() {
      cancelled = true;
      lock.lock();
      try {
        if (waiter != null) {
          waiter.granted.signal();
        }
      } finally {
        lock.unlock();
      }
    }

    /**
     * Makes the share hold {@code total} bytes, if there is room and nobody waits for it.
     *
     * @return whether the share holds that much now
     * @throws StoreException {@code UNAVAILABLE} if the share has been cancelled
     */
    public boolean tryGrow(long total) {
      refuseIfCancelled();
      if (total <= held) {
        return true;
      }
      if (total <= SMALL && (reserved || held == 0) && client.take(total - held)) {
        held = total;
        reserved = true;
        return true;
      }
      long more = reserved ? total : total - held;
      lock.lock();
      try {
        if (!waiters.isEmpty() || more > large - used) {
          return false;
        }
        used += more;
      } finally {
        lock.unlock();
      }
      if (reserved) {
        client.give(held);
        reserved = false;
      }
      held = total;
      return true;
    }

    /**
     * Lets go of everything and waits until {@code total} bytes are free.
     *
     * @throws StoreException {@code TOO_LARGE} if that can never be; {@code UNAVAILABLE} if the
     *     share is cancelled or the thread is interrupted
     */
    public void restart(long total) {
      close();
      refuseIfCancelled();
      if (total > large) {
        throw new StoreException(
            StoreException.Reason.TOO_LARGE,
            "the answer needs more memory than is set aside for answers; ask with a limit");
      }
      if (total <= SMALL && client.take(total)) {
        held = total;
        reserved = true;
        return;
      }
      lock.lock();
      try {
        if (waiters.isEmpty() && total <= large - used) {
          used += total;
        } else {
          await(new Waiter(total));
        }
        held = total;
      } finally {
        lock.unlock();
      }
    }

    /** Lets go of what the share holds above {@code total} bytes. */
    public void shrink(long total) {
      long bytes = held - total;
      if (bytes > 0) {
        held = total;
        if (reserved) {
          client.give(bytes);
          reserved = total > 0;
        } else {
          release(bytes);
        }
      }
    }

    private void await(Waiter mine) {
      waiters.add(mine);
      waiter = mine;
      try {
        while (!mine.done) {
          refuseIfCancelled();
          mine.granted.await();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        giveUp(mine);
        throw new StoreException(StoreException.Reason.UNAVAILABLE, GIVEN_UP, e);
      } catch (StoreException e) {
        giveUp(mine);
        throw e;
      } finally {
        waiter = null;
      }
    }

    private void giveUp(Waiter mine) {
      if (mine.done) {
        used -= mine.bytes;
      } else {
        waiters.remove(mine);
      }
      grant();
    }

    private void refuseIfCancelled() {
      if (cancelled) {
        throw new StoreException(StoreException.Reason.UNAVAILABLE, GIVEN_UP);
      }
    }

    /** Lets go of everything; the share may grow again. */
    @Override
    public void close() {
      shrink(0);
    }
  }
}
