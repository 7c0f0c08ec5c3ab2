package io.harikube.sql;

import java.time.Duration;
import java.util.TreeMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/**
 * The revisions that are being read in several pages; a compaction waits for those below its own.
 */
final class Pins {
  private final LongSupplier current;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition released = lock.newCondition();
  private final TreeMap<Long, Integer> pinned = new TreeMap<>();

  Pins(LongSupplier current) {
    this.current = current;
  }

  /** A revision that is being read. */
  final class Pin implements AutoCloseable {
    private final long revision;

    private Pin(long revision) {
      this.revision = revision;
    }

    @Override
    public void close() {
      lock.lock();
      try {
        pinned.computeIfPresent(revision, (_, readers) -> readers == 1 ? null : readers - 1);
        released.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Pins {@code revision}, or the current one if it is 0. */
  Pin pin(long revision) {
    lock.lock();
    try {
      long effective = revision > 0 ? revision : current.getAsLong();
      pinned.merge(effective, 1, Integer::sum);
      return new Pin(effective);
    } finally {
      lock.unlock();
    }
  }

  /** Waits until nobody reads below {@code revision}, but not longer than {@code deadline}. */
  void awaitNoneBelow(long revision, Duration deadline) throws InterruptedException {
    lock.lock();
    try {
      long nanos = deadline.toNanos();
      while (nanos > 0 && !pinned.isEmpty() && pinned.firstKey() < revision) {
        nanos = released.awaitNanos(nanos);
      }
    } finally {
      lock.unlock();
    }
  }
}
