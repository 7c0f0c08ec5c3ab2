package io.harikube.watch;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Lets a few tasks read the log at the same time; the others wait in line, without a thread. Safe
 * for use by several threads.
 */
final class ReadPermits {
  private final Executor executor;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();
  private int free;

  ReadPermits(int permits, Executor executor) {
    this.free = permits;
    this.executor = executor;
  }

  /** Runs {@code task} when its turn comes; the permit is given back when it ends. */
  void run(Runnable task) {
    lock.lock();
    try {
      if (free == 0) {
        waiting.add(task);
        return;
      }
      free--;
    } finally {
      lock.unlock();
    }
    start(task);
  }

  private void start(Runnable task) {
    executor.execute(
        () -> {
          try {
            task.run();
          } finally {
            next();
          }
        });
  }

  private void next() {
    @Nullable Runnable task;
    lock.lock();
    try {
      task = waiting.poll();
      if (task == null) {
        free++;
      }
    } finally {
      lock.unlock();
    }
    if (task != null) {
      start(task);
    }
  }
}
