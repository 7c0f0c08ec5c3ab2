package io.harikube.sql;

import io.harikube.store.AttributeReader;
import io.harikube.store.Commit;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.TaskRules;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one thread that writes, and the queue of what it is to do. It takes whatever waits there and
 * has the {@link Committer} do all of it at once.
 */
final class Writer implements Committer.Waiting, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Writer.class);

  /** How long a shared database is left without a look at whether it is still this writer's. */
  private static final long IDLE_MILLIS = 1000;

  private final Dialect dialect;
  private final StoreMetrics metrics;
  private final int batchOperations;
  private final Committer committer;
  private final LinkedBlockingQueue<Job<?>> queue = new LinkedBlockingQueue<>();
  private final Thread thread = Thread.ofPlatform().daemon().name("writer").unstarted(this::loop);
  private volatile boolean closed;

  Writer(
      Dialect dialect,
      Session session,
      long writerId,
      Meta meta,
      SqlOptions options,
      StoreMetrics metrics,
      AttributeReader reader,
      TaskRules rules,
      PrefixCounts prefixes) {
    this.dialect = dialect;
    this.metrics = metrics;
    this.batchOperations = options.batchOperations();
    this.committer =
        new Committer(
            dialect, session, writerId, meta, options, metrics, reader, rules, prefixes, this);
    metrics.level(StoreMetrics.Level.QUEUE, queue::size);
  }

  void start() throws SQLException {
    committer.start();
    thread.start();
  }

  void subscribe(Consumer<Commit> newListener) {
    committer.publisher().subscribe(newListener);
  }

  /**
   * Lets somebody know when the database has lost commits and goes on at a later revision: what is
   * remembered of its tables may be wrong. Called by the writer's thread, before anything else is
   * done on that database.
   */
  void onJump(Consumer<Meta> newListener) {
    committer.publisher().onJump(newListener);
  }

  /** Has a listener called after each commit that may have made a task ready. */
  void onReady(Runnable listener) {
    committer.onReady(listener);
  }

  /** The last revision whose events have been handed to the listener. */
  long published() {
    return committer.publisher().revision();
  }

  /** See {@link io.harikube.store.Store#ended}. */
  CompletableFuture<String> ended() {
    return committer.publisher().ended();
  }

  /** What the database held after the last commit that this writer knows of. */
  Meta meta() {
    return committer.meta();
  }

  <T> CompletableFuture<T> submit(Job<T> job) {
    queue.add(job);
    if (closed) {
      fail(Refusals.stopping());
    }
    return job.future();
  }

  /** Gives free space back, between two batches. */
  CompletableFuture<Boolean> defragment() {
    return submit(new Job<>(Set.of(), committer::defragment));
  }

  private void loop() {
    List<Job<?>> jobs = new ArrayList<>(batchOperations);
    while (!closed) {
      try {
        Job<?> first =
            dialect.isShared() ? queue.poll(IDLE_MILLIS, TimeUnit.MILLISECONDS) : queue.take();
        if (first != null) {
          jobs.add(first);
          queue.drainTo(jobs, batchOperations - 1);
        }
        committer.process(List.copyOf(jobs));
      } catch (InterruptedException e) {
        break;
      } catch (RuntimeException | Error e) {
        LOG.error("the writer failed after a batch", e);
        fail(jobs, new StoreException(Reason.UNAVAILABLE, "internal error: " + e.getMessage(), e));
      }
      jobs.clear();
    }
    fail(Refusals.stopping());
  }

  private void fail(List<Job<?>> jobs, StoreException e) {
    metrics.count(StoreMetrics.Count.FAILED_TXNS, jobs.size());
    jobs.forEach(job -> job.fail(e));
    jobs.forEach(Job::answer);
  }

  @Override
  public boolean goesOn() {
    return !closed;
  }

  @Override
  public void fail(StoreException e) {
    List<Job<?>> jobs = new ArrayList<>();
    queue.drainTo(jobs);
    fail(jobs, e);
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    committer.close();
  }
}
