package io.harikube.sql;

import java.time.Duration;
import java.util.TreeMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;

/**
 * What the compaction must wait for.
 *
 * <p>A range that reads a revision in several pages pins it: a compaction waits for that before it
 * begins, up to a deadline, and later pages then fail as compacted. Who copies the whole log, where
 * a row that is deleted meanwhile would go unnoticed, holds the compaction: no step of it takes
 * place until the copy is made. So that copies which follow each other cannot hold it for good, a
 * compaction that had to wait for them is done as a whole before the next copy begins.
 */
final class Pins {
  private final LongSupplier current;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final TreeMap<Long, Integer> pinned = new TreeMap<>();
  private int holders;
  private boolean deleting;
  private boolean owed;

  Pins(LongSupplier current) {
    this.current = current;
  }

  /** Something that the compaction waits for. */
  @FunctionalInterface
  interface Pin extends AutoCloseable {
    @Override
    void close();
  }

  /** Pins {@code revision}, or the current one if it is 0. */
  Pin pin(long revision) {
    lock.lock();
    try {
      long effective = revision > 0 ? revision : current.getAsLong();
      pinned.merge(effective, 1, Integer::sum);
      return () -> unpin(effective);
    } finally {
      lock.unlock();
    }
  }

  private void unpin(long revision) {
    lock.lock();
    try {
      pinned.computeIfPresent(revision, (_, readers) -> readers == 1 ? null : readers - 1);
      changed.signalAll();
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
        nanos = changed.awaitNanos(nanos);
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Holds the compaction once no step of it is under way.
   *
   * @return whether it is held; false if that was not possible in the given time
   */
  boolean hold(Duration patience) throws InterruptedException {
    lock.lock();
    try {
      long nanos = patience.toNanos();
      while (deleting || owed) {
        if (nanos <= 0) {
          return false;
        }
        nanos = changed.awaitNanos(nanos);
      }
      holders++;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Ends what {@link #hold} began. */
  void release() {
    lock.lock();
    try {
      holders--;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** For the compaction: waits until nobody holds it, and lets nobody do so until the step ends. */
  Pin step() throws InterruptedException {
    lock.lock();
    try {
      owed |= holders > 0;
      while (holders > 0) {
        changed.await();
      }
      deleting = true;
      return this::endStep;
    } finally {
      lock.unlock();
    }
  }

  private void endStep() {
    lock.lock();
    try {
      deleting = false;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** For the compaction: it is done, or has failed and makes a pause. */
  void rest() {
    lock.lock();
    try {
      owed = false;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
