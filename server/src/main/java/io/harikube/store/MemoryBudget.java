package io.harikube.store;

import static java.util.Objects.requireNonNull;

import java.util.ArrayDeque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A ceiling for the bytes of all answers in flight.
 *
 * <p>An answer takes its {@link Share} and lets it grow while it is read. A share never waits while
 * it holds something, so that shares cannot wait for each other: whoever finds no room to grow
 * drops what it has read, and asks for the whole of what it needs at once with {@link
 * Share#restart}, which waits its turn, first come, first served.
 */
public final class MemoryBudget {
  private final long capacity;
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
   * @param capacity the ceiling in bytes
   */
  public MemoryBudget(long capacity) {
    this.capacity = capacity;
  }

  public long capacity() {
    return capacity;
  }

  /** The bytes held now. */
  public long used() {
    lock.lock();
    try {
      return used;
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

  /** A share that holds nothing yet. */
  public Share open() {
    return new Share();
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
    while (!waiters.isEmpty() && requireNonNull(waiters.peek()).bytes <= capacity - used) {
      Waiter next = requireNonNull(waiters.poll());
      used += next.bytes;
      next.done = true;
      next.granted.signal();
    }
  }

  /** The bytes of one answer. To be used by one thread at a time. */
  public final class Share implements AutoCloseable {
    private long held;

    private Share() {}

    /** The most that any share can hold. */
    public long capacity() {
      return capacity;
    }

    /** The bytes that this share holds. */
    public long held() {
      return held;
    }

    /**
     * Makes the share hold {@code total} bytes, if there is room and nobody waits for it.
     *
     * @return whether the share holds that much now
     */
    public boolean tryGrow(long total) {
      if (total <= held) {
        return true;
      }
      lock.lock();
      try {
        if (!waiters.isEmpty() || total - held > capacity - used) {
          return false;
        }
        used += total - held;
        held = total;
        return true;
      } finally {
        lock.unlock();
      }
    }

    /**
     * Lets go of everything and waits until {@code total} bytes are free.
     *
     * @throws StoreException {@code TOO_LARGE} if that can never be; {@code UNAVAILABLE} if the
     *     thread is interrupted
     */
    public void restart(long total) {
      close();
      if (total > capacity) {
        throw new StoreException(
            StoreException.Reason.TOO_LARGE,
            "the answer needs more memory than is set aside for answers; ask with a limit");
      }
      lock.lock();
      try {
        if (waiters.isEmpty() && total <= capacity - used) {
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
        release(bytes);
      }
    }

    private void await(Waiter waiter) {
      waiters.add(waiter);
      try {
        while (!waiter.done) {
          waiter.granted.await();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        if (waiter.done) {
          used -= waiter.bytes;
        } else {
          waiters.remove(waiter);
        }
        grant();
        throw new StoreException(StoreException.Reason.UNAVAILABLE, "the request was given up", e);
      }
    }

    /** Lets go of everything; the share may grow again. */
    @Override
    public void close() {
      shrink(0);
    }
  }
}
