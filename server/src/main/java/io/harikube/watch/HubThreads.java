package io.harikube.watch;

import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * What a hub runs on. Nothing in a hub waits for anything on these, except for the log on {@code
 * readers}; so a test can run all of it on one thread, in an order of its own.
 *
 * @param dispatcher runs one task at a time
 * @param readers runs tasks that read the log
 * @param timer runs tasks later
 * @param quantum how many steps the dispatcher takes in one task
 * @param shutdown ends all of them
 */
record HubThreads(
    Executor dispatcher, Executor readers, Timer timer, int quantum, Runnable shutdown) {

  /** Runs short tasks later. */
  @FunctionalInterface
  interface Timer {
    void after(Duration delay, Runnable task);
  }

  /**
   * One thread for the dispatcher, one for the timer, and virtual ones for the readers. What comes
   * after the shutdown is dropped.
   */
  static HubThreads start() {
    ThreadPoolExecutor dispatcher =
        new ThreadPoolExecutor(
            1,
            1,
            0,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().daemon().name("watch-dispatcher").factory(),
            new ThreadPoolExecutor.DiscardPolicy());
    ScheduledThreadPoolExecutor timer =
        new ScheduledThreadPoolExecutor(
            1,
            Thread.ofPlatform().daemon().name("watch-timer").factory(),
            new ThreadPoolExecutor.DiscardPolicy());
    ExecutorService readers =
        Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("watch-catch-up-", 0).factory());
    return new HubThreads(
        dispatcher,
        task -> {
          try {
            readers.execute(task);
          } catch (RejectedExecutionException e) {
            if (!readers.isShutdown()) {
              throw e;
            }
          }
        },
        (delay, task) -> {
          var _ = timer.schedule(task, delay.toNanos(), TimeUnit.NANOSECONDS);
        },
        1024,
        () -> {
          timer.shutdownNow();
          readers.shutdownNow();
          dispatcher.shutdownNow();
        });
  }
}
