package io.harikube.sql;

import io.harikube.store.Bytes;
import java.sql.SQLException;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * Something for the writer to do. Its future is completed once the commit that holds it is durable,
 * by the writer's thread: what follows must neither block nor take long.
 *
 * @param <T> what it answers
 */
final class Job<T> {

  /**
   * What a job does within a batch. It may be done more than once, each time on another batch, when
   * the one before has come to nothing: so it changes nothing but its batch. What else is to follow
   * it hands to {@link Batch#afterCommit}.
   */
  interface Work<T> {
    T run(Batch batch) throws SQLException;
  }

  private final Set<Bytes> keys;
  private final long bytes;
  private final Work<T> work;
  private final CompletableFuture<T> future = new CompletableFuture<>();
  private Runnable outcome = () -> {};

  /**
   * @param keys keys that the work will look at
   */
  Job(Set<Bytes> keys, Work<T> work) {
    this(keys, 0, work);
  }

  /**
   * @param keys keys that the work will look at
   * @param bytes of the values that it writes, at the most
   */
  Job(Set<Bytes> keys, long bytes, Work<T> work) {
    this.keys = keys;
    this.bytes = bytes;
    this.work = work;
  }

  Set<Bytes> keys() {
    return keys;
  }

  long bytes() {
    return bytes;
  }

  CompletableFuture<T> future() {
    return future;
  }

  /** Does the work and keeps its answer until {@link #answer}. */
  void run(Batch batch) throws SQLException {
    T result = work.run(batch);
    outcome = () -> future.complete(result);
  }

  void fail(RuntimeException e) {
    outcome = () -> future.completeExceptionally(e);
  }

  /** Completes the future with what the work answered, or why it failed. */
  void answer() {
    outcome.run();
  }
}
