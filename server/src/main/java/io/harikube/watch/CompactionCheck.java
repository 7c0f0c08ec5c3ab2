package io.harikube.watch;

import static java.util.Objects.requireNonNull;

import io.harikube.store.EventLog;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Asks the log for the compacted revision, once for all who want to know at the same time. An
 * answer was read after it was asked for.
 *
 * <p>Safe for use by several threads. Nothing is held while the log is read.
 */
final class CompactionCheck {
  private final EventLog events;
  private final Executor executor;
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable CompletableFuture<Long> next;
  private boolean reading;

  CompactionCheck(EventLog events, Executor executor) {
    this.events = events;
    this.executor = executor;
  }

  CompletableFuture<Long> ask() {
    lock.lock();
    try {
      if (next == null) {
        next = new CompletableFuture<>();
      }
      if (!reading) {
        reading = true;
        executor.execute(this::read);
      }
      return next;
    } finally {
      lock.unlock();
    }
  }

  private void read() {
    CompletableFuture<Long> answer;
    lock.lock();
    try {
      answer = requireNonNull(next);
      next = null;
    } finally {
      lock.unlock();
    }
    try {
      answer.complete(events.compactedRevision());
    } catch (Throwable e) {
      answer.completeExceptionally(e);
    }
    lock.lock();
    try {
      reading = next != null;
      if (reading) {
        executor.execute(this::read);
      }
    } finally {
      lock.unlock();
    }
  }
}
