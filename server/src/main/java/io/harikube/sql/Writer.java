package io.harikube.sql;

import io.harikube.store.AttributeReader;
import io.harikube.store.Bytes;
import io.harikube.store.Commit;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one thread that writes. It takes whatever waits in its queue, does all of it in one database
 * transaction, commits once, publishes the events and then answers everyone.
 *
 * <pre>
 *            jobs                     commit durable
 *   IDLE ──────────► EVALUATING ───────────────────► PUBLISHING ──► IDLE
 *                       │ refused by the database          ▲
 *                       ├──► rolled back, jobs run one by one (only the guilty one fails)
 *                       │ connection lost                  │ it had been committed
 *                       └──► LOST: reconnect, take the epoch, look at the commit counter
 *                              │ it had not: run the batch again
 *                              │ another writer has the epoch
 *                              └──► FENCED: every job fails from here on
 * </pre>
 */
final class Writer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Writer.class);
  private static final int MAX_PAUSE_MILLIS = 1000;

  /** How long jobs wait for a lost database before they are told to come again. */
  private static final long OUTAGE_PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(8);

  private final Dialect dialect;
  private final StoreMetrics metrics;
  private final AttributeReader reader;
  private final PrefixCounts prefixes;
  private final long slowNanos;
  private final long writerId;
  private final int batchOperations;
  private final int eventBytes;
  private final LinkedBlockingQueue<Job<?>> queue = new LinkedBlockingQueue<>();
  private final Thread thread = Thread.ofPlatform().daemon().name("writer").unstarted(this::loop);

  private Session session;
  private volatile Meta meta;
  private boolean housekeeping;
  private boolean hasAttributes;

  /** Whether the batch may have become durable, and the time since which it may. */
  private boolean committing;

  private long sealed;
  private volatile Consumer<Commit> listener = _ -> {};
  private volatile long published;
  private volatile boolean connected = true;
  private volatile boolean fenced;
  private volatile boolean closed;

  /** Says which job the database refused after the batch had been changed by it. */
  private static final class Poisoned extends Exception {
    private static final long serialVersionUID = 1;
    final transient Job<?> job;
    final RuntimeException reason;

    Poisoned(Job<?> job, RuntimeException reason) {
      super(reason);
      this.job = job;
      this.reason = reason;
    }
  }

  Writer(
      Dialect dialect,
      Session session,
      long writerId,
      Meta meta,
      SqlOptions options,
      StoreMetrics metrics,
      AttributeReader reader,
      PrefixCounts prefixes) {
    this.dialect = dialect;
    this.prefixes = prefixes;
    this.reader = reader;
    this.metrics = metrics;
    this.slowNanos = options.slowQuery().toNanos();
    metrics.level(StoreMetrics.Level.QUEUE, queue::size);
    this.writerId = writerId;
    this.session = session;
    this.meta = meta;
    this.batchOperations = options.batchOperations();
    this.eventBytes = options.eventBytes();
    this.published = meta.revision();
  }

  void start() throws SQLException {
    dialect.begin(session);
    try (ResultSet rows = session.prepare("SELECT 1 FROM attribute LIMIT 1").executeQuery()) {
      hasAttributes = rows.next();
    }
    dialect.rollback(session);
    thread.start();
  }

  void subscribe(Consumer<Commit> newListener) {
    listener = newListener;
  }

  /** The last revision whose events have been handed to the listener. */
  long published() {
    return published;
  }

  /** What the database held after the last commit that this writer knows of. */
  Meta meta() {
    return meta;
  }

  <T> CompletableFuture<T> submit(Job<T> job) {
    queue.add(job);
    if (closed) {
      failQueued("the server is stopping");
    }
    return job.future();
  }

  /** Gives free space back, between two batches. */
  CompletableFuture<Boolean> defragment() {
    return submit(
        new Job<>(
            Set.of(),
            batch -> {
              housekeeping = true;
              batch.markDirty();
              return true;
            }));
  }

  private void loop() {
    List<Job<?>> jobs = new ArrayList<>(batchOperations);
    while (!closed) {
      try {
        jobs.add(queue.take());
        queue.drainTo(jobs, batchOperations - 1);
        process(List.copyOf(jobs));
      } catch (InterruptedException e) {
        break;
      } catch (RuntimeException | Error e) {
        LOG.error("the writer failed on a batch", e);
        StoreException refused =
            new StoreException(Reason.REFUSED, "internal error: " + e.getMessage(), e);
        jobs.forEach(job -> job.fail(refused));
        answer(jobs);
      }
      jobs.clear();
    }
    failQueued("the server is stopping");
  }

  private void process(List<Job<?>> jobs) {
    List<Job<?>> rest = jobs;
    while (!rest.isEmpty()) {
      if (fenced) {
        fail(rest, fencedException());
        return;
      }
      Batch batch = new Batch(dialect, session, meta, eventBytes, hasAttributes);
      long begin = System.nanoTime();
      committing = false;
      try {
        dialect.begin(session);
        evaluate(batch, rest);
        if (!batch.isDirty()) {
          dialect.rollback(session);
          answer(rest);
          return;
        }
        if (!batch.commit(() -> committing(batch))) {
          rollback();
          prefixes.clear(meta.revision());
          fence();
          continue;
        }
        measure(batch, rest.size(), begin);
        committed(batch, rest);
        dialect.afterCommit(session);
        if (housekeeping) {
          housekeeping = false;
          dialect.defragment(session);
        }
        return;
      } catch (Poisoned poisoned) {
        rollback();
        poisoned.job.fail(poisoned.reason);
        answer(List.of(poisoned.job));
        rest = without(rest, poisoned.job);
      } catch (SQLException e) {
        if (meta.commits() == batch.sealed().commits()) {
          LOG.warn("housekeeping after a commit failed: {}", e.getMessage());
          return;
        }
        prefixes.clear(meta.revision());
        if (dialect.isConnectionLost(e)) {
          if (recover(e, batch, rest)) {
            return;
          }
        } else if (rest.size() == 1) {
          rollback();
          fail(rest, refused(e));
          return;
        } else {
          rollback();
          LOG.warn("a batch was refused and is done one by one: {}", e.getMessage());
          rest.forEach(job -> process(List.of(job)));
          return;
        }
      }
    }
  }

  /** The changes of a batch are about to become durable, and seen by those who read. */
  private void committing(Batch batch) {
    if (batch.revision() > meta.revision()) {
      reader.committing(batch.events(), batch.revision());
      prefixes.committing(batch.events(), batch.revision());
    }
    committing = true;
    sealed = System.nanoTime();
  }

  private void measure(Batch batch, int jobs, long begin) {
    long now = System.nanoTime();
    metrics.batch(jobs);
    metrics.time(StoreMetrics.Time.BATCH, now - begin);
    metrics.time(StoreMetrics.Time.COMMIT, now - sealed);
    if (now - begin > slowNanos) {
      metrics.count(StoreMetrics.Count.SLOW_STATEMENTS, 1);
      LOG.warn(
          "slow commit: {} operations with {} changes took {} ms, {} ms of it to make them durable",
          jobs,
          batch.writtenRows(),
          (now - begin) / 1_000_000,
          (now - sealed) / 1_000_000);
    }
  }

  private void evaluate(Batch batch, List<Job<?>> jobs) throws SQLException, Poisoned {
    Set<Bytes> keys = new HashSet<>();
    for (Job<?> job : jobs) {
      keys.addAll(job.keys());
    }
    if (!keys.isEmpty()) {
      batch.prefetch(keys);
    }
    for (Job<?> job : jobs) {
      try {
        job.run(batch);
      } catch (Collector.Overflow e) {
        refuse(batch, job, tooMuch(e));
      } catch (StoreException e) {
        refuse(batch, job, e);
      } catch (RuntimeException e) {
        LOG.error("a job failed", e);
        throw new Poisoned(
            job, new StoreException(Reason.REFUSED, "internal error: " + e.getMessage(), e));
      }
    }
  }

  private static void refuse(Batch batch, Job<?> job, StoreException e) throws Poisoned {
    if (batch.isChanging()) {
      throw new Poisoned(job, e);
    }
    job.fail(e);
  }

  private static StoreException tooMuch(Collector.Overflow overflow) {
    if (overflow.never) {
      return new StoreException(
          Reason.TOO_LARGE, "the answer needs more memory than is set aside for answers");
    }
    return new StoreException(
        Reason.UNAVAILABLE, "there is not enough memory for the answer of the transaction now");
  }

  private static StoreException refused(SQLException e) {
    return new StoreException(
        Reason.REFUSED, "the database refused the operation: " + e.getMessage(), e);
  }

  private static List<Job<?>> without(List<Job<?>> jobs, Job<?> job) {
    List<Job<?>> rest = new ArrayList<>(jobs);
    rest.remove(job);
    return rest;
  }

  private void committed(Batch batch, List<Job<?>> jobs) {
    publish(batch.sealed(), batch);
    answer(jobs);
  }

  private void publish(Meta now, Batch batch) {
    long first = meta.revision() + 1;
    meta = now;
    hasAttributes = batch.hasAttributes();
    if (now.revision() >= first) {
      listener.accept(new Commit(first, now.revision(), batch.events()));
      published = now.revision();
    }
  }

  private static void answer(List<Job<?>> jobs) {
    jobs.forEach(Job::answer);
  }

  private void fail(List<Job<?>> jobs, StoreException e) {
    metrics.count(StoreMetrics.Count.FAILED_TXNS, jobs.size());
    jobs.forEach(job -> job.fail(e));
    answer(jobs);
  }

  private void failQueued(String reason) {
    List<Job<?>> jobs = new ArrayList<>();
    queue.drainTo(jobs);
    fail(jobs, new StoreException(Reason.UNAVAILABLE, reason));
  }

  private void rollback() {
    try {
      dialect.rollback(session);
    } catch (SQLException e) {
      LOG.debug("the database had rolled back already: {}", e.getMessage());
    }
  }

  private void fence() {
    fenced = true;
    LOG.error("another server has taken this database over; this one stops writing");
  }

  private static StoreException fencedException() {
    return new StoreException(
        Reason.UNAVAILABLE, "another server has taken the database over from this one");
  }

  /**
   * Connects again after the connection was lost, and finds out what became of the batch.
   *
   * @return whether the batch has been dealt with; if not, it is to be run again
   */
  private boolean recover(SQLException cause, Batch batch, List<Job<?>> jobs) {
    LOG.warn("lost the connection to the database: {}", cause.getMessage());
    connected = false;
    long lost = System.nanoTime();
    boolean answered = false;
    int pause = 10;
    while (!closed) {
      Meta found = reconnect();
      if (found != null) {
        boolean done = committing && found.commits() == batch.sealed().commits();
        connected = true;
        metrics.count(StoreMetrics.Count.RECONNECTS, 1);
        LOG.info("connected to the database again");
        prefixes.clear(found.revision());
        if (done) {
          publish(found, batch);
          if (!answered) {
            answer(jobs);
          }
          return true;
        }
        meta = found;
        return answered;
      }
      if (fenced) {
        fail(jobs, fencedException());
        return true;
      }
      if (System.nanoTime() - lost > OUTAGE_PATIENCE_NANOS) {
        if (!answered) {
          answered = true;
          fail(jobs, new StoreException(Reason.UNAVAILABLE, "the database cannot be reached"));
        }
        failQueued("the database cannot be reached");
      }
      try {
        TimeUnit.MILLISECONDS.sleep(pause);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
      pause = Math.min(2 * pause, MAX_PAUSE_MILLIS);
    }
    if (!answered) {
      fail(jobs, new StoreException(Reason.UNAVAILABLE, "the server is stopping"));
    }
    return true;
  }

  /**
   * Opens a new connection and raises the epoch: that waits for a transaction of the old connection
   * which may still be under way in the database, and keeps it from committing if it has not got
   * that far.
   */
  private @Nullable Meta reconnect() {
    try {
      session.close();
    } catch (SQLException e) {
      LOG.debug("closing a lost connection: {}", e.getMessage());
    }
    try {
      session = dialect.connectWriter();
      dialect.begin(session);
      Meta found = Epochs.retake(session, writerId);
      if (found == null) {
        dialect.rollback(session);
        fence();
        return null;
      }
      dialect.commit(session);
      return found;
    } catch (SQLException e) {
      LOG.debug("cannot connect to the database yet: {}", e.getMessage());
      return null;
    }
  }

  /** Whether the database can be written to just now. */
  boolean isReady() {
    return connected && !fenced && !closed;
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
      session.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SQLException e) {
      LOG.debug("closing: {}", e.getMessage());
    }
  }
}
