package io.harikube.gc;

import io.harikube.store.StoreException;
import io.harikube.store.Tasks;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * How many tasks there are. The database is asked, but not waited for when it does not answer: then
 * nobody knows. Safe for many threads.
 */
public final class Backlog implements AutoCloseable {
  private static final long PATIENCE_MILLIS = 200;

  private final Tasks tasks;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("gc-backlog").factory());

  /** What is being asked for, if anybody asks. */
  private @Nullable Future<Long> asked;

  public Backlog(Tasks tasks) {
    this.tasks = tasks;
  }

  /**
   * How many tasks are to be done, or wait for something.
   *
   * @throws StoreException if the database does not say so in a fifth of a second
   */
  public synchronized long count(boolean waiting) {
    Future<Long> last = asked;
    if (last != null && !last.isDone()) {
      throw unknown("the database has not answered yet", null);
    }
    Future<Long> counted = thread.submit(() -> tasks.count(waiting));
    asked = counted;
    try {
      return counted.get(PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw unknown("the database does not answer", e);
    } catch (ExecutionException e) {
      throw unknown("the tasks cannot be counted", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unknown("the thread is to end", e);
    }
  }

  private static StoreException unknown(String message, @Nullable Throwable cause) {
    return new StoreException(StoreException.Reason.UNAVAILABLE, message, cause);
  }

  @Override
  public void close() {
    thread.shutdownNow();
  }
}
