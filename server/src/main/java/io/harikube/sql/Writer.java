package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.AttributeReader;
import io.harikube.store.Bytes;
import io.harikube.store.Commit;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * The one thread that writes. It takes whatever waits in its queue, does all of it in one database
 * transaction, commits once, publishes the events and then answers everyone.
 *
 * <pre>
 *            jobs                     commit durable
 *   IDLE ──────────► EVALUATING ───────────────────► PUBLISHING ──► IDLE
 *                       │ refused by the database          ▲
 *                       ├──► rolled back, jobs run one by one (only the guilty one fails)
 *                       │ the database has no room, is read-only or busy
 *                       ├──► every job of the batch fails: it is known that nothing was done
 *                       │ not known what came of it        │ it had been committed
 *                       └──► LOST: {@link Recovery}
 *                              │ it had not: run the batch again; the second time, one by one
 *                              │ another writer has the epoch
 *                              └──► FENCED: every job fails from here on, and the store has ended
 * </pre>
 */
final class Writer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Writer.class);
  private static final RareLine REFUSED =
      new RareLine(LOG, Level.WARN, Duration.ofSeconds(10), "the database refused a change: {}");
  private static final RareLine ONE_BY_ONE =
      new RareLine(
          LOG,
          Level.WARN,
          Duration.ofSeconds(10),
          "a batch of {} changes was refused and is done one by one: {}");

  /** How long jobs wait for a lost database before they are told to come again. */
  private static final long OUTAGE_PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(8);

  /** How long a shared database is left without a look at whether it is still this writer's. */
  private static final long IDLE_MILLIS = 1000;

  /** What the values that one commit writes may weigh, unless it is those of a single job. */
  private static final long BATCH_BYTES = 16 << 20;

  /** How often a batch, and then each job alone, may cost the connection. */
  private static final int MOST_LOSSES = 2;

  private final Dialect dialect;
  private final StoreMetrics metrics;
  private final AttributeReader reader;
  private final PrefixCounts prefixes;
  private final long slowNanos;
  private final long writerId;
  private final int batchOperations;
  private final int eventBytes;
  private final WriterConnection connection;
  private final LinkedBlockingQueue<Job<?>> queue = new LinkedBlockingQueue<>();
  private final ArrayDeque<Round> rounds = new ArrayDeque<>();
  private final CompletableFuture<String> ended = new CompletableFuture<>();
  private final Thread thread = Thread.ofPlatform().daemon().name("writer").unstarted(this::loop);

  private volatile Meta meta;
  private boolean housekeeping;
  private boolean hasAttributes;

  /** Whether the batch may have become durable, and the time since which it may. */
  private boolean committing;

  private long sealed;
  private volatile Consumer<Commit> listener = _ -> {};
  private volatile Consumer<Meta> jumped = _ -> {};
  private volatile long published;
  private volatile boolean fenced;
  private volatile boolean closed;

  /**
   * Jobs that are to be done in one batch.
   *
   * @param losses how often they have cost the connection
   */
  private record Round(List<Job<?>> jobs, int losses) {}

  /** How a batch ended without an exception. */
  private enum End {
    COMMITTED,
    UNCHANGED,
    FENCED
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
    this.connection = new WriterConnection(dialect, session);
    this.meta = meta;
    this.batchOperations = options.batchOperations();
    this.eventBytes = options.eventBytes();
    this.published = meta.revision();
  }

  void start() throws SQLException {
    hasAttributes =
        connection.transaction(
            transaction -> {
              try (ResultSet rows =
                  transaction.session().prepare("SELECT 1 FROM attribute LIMIT 1").executeQuery()) {
                return rows.next();
              }
            });
    thread.start();
  }

  void subscribe(Consumer<Commit> newListener) {
    listener = newListener;
  }

  /**
   * Lets somebody know when the database has lost commits and goes on at a later revision: what is
   * remembered of its tables may be wrong. Called by the writer's thread, before anything else is
   * done on that database.
   */
  void onJump(Consumer<Meta> newListener) {
    jumped = newListener;
  }

  /** The last revision whose events have been handed to the listener. */
  long published() {
    return published;
  }

  /** See {@link io.harikube.store.Store#ended}. */
  CompletableFuture<String> ended() {
    return ended;
  }

  /** What the database held after the last commit that this writer knows of. */
  Meta meta() {
    return meta;
  }

  <T> CompletableFuture<T> submit(Job<T> job) {
    queue.add(job);
    if (closed) {
      failQueued(stopping());
    }
    return job.future();
  }

  /** Gives free space back, between two batches. */
  CompletableFuture<Boolean> defragment() {
    return submit(
        new Job<>(
            Set.of(),
            batch -> {
              batch.afterCommit(() -> housekeeping = true);
              batch.markDirty();
              return true;
            }));
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
        process(List.copyOf(jobs));
      } catch (InterruptedException e) {
        break;
      } catch (RuntimeException | Error e) {
        LOG.error("the writer failed after a batch", e);
        StoreException refused =
            new StoreException(Reason.UNAVAILABLE, "internal error: " + e.getMessage(), e);
        jobs.forEach(job -> job.fail(refused));
        answer(jobs);
        rounds.clear();
      }
      jobs.clear();
    }
    failQueued(stopping());
  }

  /** Does jobs; without any, only looks whether the database is still this writer's. */
  private void process(List<Job<?>> jobs) {
    split(jobs);
    for (Round round = rounds.poll(); round != null; round = rounds.poll()) {
      if (fenced) {
        fail(round.jobs, fencedException());
      } else {
        run(round);
      }
    }
  }

  /** Makes rounds of the jobs, each with values of a bounded weight. */
  private void split(List<Job<?>> jobs) {
    int from = 0;
    long bytes = 0;
    for (int i = 0; i < jobs.size(); i++) {
      bytes += jobs.get(i).bytes();
      if (bytes > BATCH_BYTES && i > from) {
        rounds.add(new Round(jobs.subList(from, i), 0));
        from = i;
        bytes = jobs.get(i).bytes();
      }
    }
    rounds.add(new Round(jobs.subList(from, jobs.size()), 0));
  }

  private void run(Round round) {
    Batch batch = new Batch(dialect, meta, eventBytes, hasAttributes);
    long begin = System.nanoTime();
    committing = false;
    if (!connection.isOpen()) {
      lost(round, batch, "it was closed after a failure");
      return;
    }
    try {
      switch (end(round, batch)) {
        case UNCHANGED -> {
          batch.committed(metrics);
          answer(round.jobs);
        }
        case FENCED -> {
          committing = false;
          lost(round, batch, "another connection has taken its place");
        }
        case COMMITTED -> {
          measure(batch, round.jobs.size(), begin);
          publish(batch.sealed(), batch);
          answer(round.jobs);
          maintain();
        }
      }
    } catch (Poisoned poisoned) {
      poisoned.job.fail(poisoned.reason);
      answer(List.of(poisoned.job));
      again(without(round.jobs, poisoned.job), round.losses);
    } catch (SQLException e) {
      failed(round, batch, e);
    }
  }

  /** An error of the program says as little of what became of a batch as a lost connection. */
  private End end(Round round, Batch batch) throws SQLException, Poisoned {
    try {
      return connection.transaction(transaction -> run(transaction, batch, round.jobs));
    } catch (RuntimeException | Error e) {
      LOG.error("the writer failed on a batch", e);
      throw new OutcomeUnknownException(e);
    }
  }

  private End run(WriterConnection.Transaction transaction, Batch batch, List<Job<?>> jobs)
      throws SQLException, Poisoned {
    batch.begin(transaction.session());
    evaluate(batch, jobs);
    if (!batch.isDirty()) {
      return dialect.stillOurs(transaction.session(), meta.epoch()) ? End.UNCHANGED : End.FENCED;
    }
    if (!batch.commit(() -> committing(batch))) {
      return End.FENCED;
    }
    transaction.committed();
    return End.COMMITTED;
  }

  private void failed(Round round, Batch batch, SQLException e) {
    prefixes.clear(meta.revision());
    List<Job<?>> jobs = round.jobs;
    switch (dialect.failure(e)) {
      case REFUSED -> {
        if (jobs.size() > 1) {
          ONE_BY_ONE.write(jobs.size(), Sentences.first(e));
          oneByOne(round, 0);
        } else {
          REFUSED.write(Sentences.first(e));
          fail(jobs, refused(Reason.REFUSED, e));
        }
      }
      case UNAVAILABLE -> {
        REFUSED.write(Sentences.first(e));
        fail(jobs, refused(Reason.UNAVAILABLE, e));
      }
      case FULL -> {
        REFUSED.write(Sentences.first(e));
        fail(jobs, refused(Reason.NO_SPACE, e));
      }
      case UNKNOWN -> lost(round, batch, e);
    }
  }

  /** Finds out what became of a batch whose connection or commit failed, and goes on from there. */
  private void lost(Round round, Batch batch, SQLException e) {
    boolean full =
        e.getCause() instanceof SQLException cause && dialect.failure(cause) == Failure.FULL;
    if (recover(round, batch, Sentences.first(e))) {
      return;
    }
    if (full) {
      fail(round.jobs, refused(Reason.NO_SPACE, e));
    } else if (round.losses + 1 < MOST_LOSSES) {
      again(round.jobs, round.losses + 1);
    } else if (round.jobs.size() > 1) {
      oneByOne(round, 0);
    } else {
      // A disk that fails is no fault of the change; one that ends its connection each time is.
      fail(round.jobs, refused(dialect.isShared() ? Reason.REFUSED : Reason.UNAVAILABLE, e));
    }
  }

  private void lost(Round round, Batch batch, String why) {
    if (!recover(round, batch, why)) {
      again(round.jobs, round.losses);
    }
  }

  private void again(List<Job<?>> jobs, int losses) {
    if (!jobs.isEmpty()) {
      rounds.addFirst(new Round(jobs, losses));
    }
  }

  private void oneByOne(Round round, int losses) {
    round.jobs.reversed().forEach(job -> again(List.of(job), losses));
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

  private static void evaluate(Batch batch, List<Job<?>> jobs) throws SQLException, Poisoned {
    Set<Bytes> keys = new HashSet<>();
    for (Job<?> job : jobs) {
      keys.addAll(job.keys());
    }
    if (!keys.isEmpty()) {
      batch.prefetch(keys);
    }
    for (Job<?> job : jobs) {
      batch.beginJob();
      try {
        job.run(batch);
      } catch (Collector.Overflow e) {
        refuse(batch, job, tooMuch(e));
      } catch (StoreException e) {
        refuse(batch, job, e);
      } catch (RuntimeException | StackOverflowError e) {
        LOG.error("a job failed", e);
        throw new Poisoned(
            job, new StoreException(Reason.REFUSED, "internal error: " + e.getMessage(), e), false);
      }
    }
  }

  private static void refuse(Batch batch, Job<?> job, StoreException e) throws Poisoned {
    if (batch.isChanging()) {
      throw new Poisoned(job, e, true);
    }
    batch.forgetJob();
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

  private static StoreException refused(Reason reason, SQLException e) {
    return new StoreException(
        reason, "the database refused the operation: " + Sentences.first(e), e);
  }

  private static List<Job<?>> without(List<Job<?>> jobs, Job<?> job) {
    List<Job<?>> rest = new ArrayList<>(jobs);
    rest.remove(job);
    return rest;
  }

  private void publish(Meta now, Batch batch) {
    long first = meta.revision() + 1;
    meta = now;
    hasAttributes = batch.hasAttributes();
    batch.committed(metrics);
    if (now.revision() >= first) {
      listener.accept(new Commit(first, now.revision(), batch.events()));
      published = now.revision();
    }
  }

  /** What the database does for itself between two commits; whoever has been answered stays so. */
  private void maintain() {
    try {
      connection.maintain(dialect::afterCommit);
      if (housekeeping) {
        housekeeping = false;
        connection.maintain(dialect::defragment);
      }
    } catch (SQLException e) {
      LOG.warn("housekeeping after a commit failed: {}", Sentences.first(e));
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

  private void failQueued(StoreException e) {
    List<Job<?>> jobs = new ArrayList<>();
    queue.drainTo(jobs);
    fail(jobs, e);
  }

  private static StoreException stopping() {
    return new StoreException(Reason.UNAVAILABLE, "the server is stopping");
  }

  private static StoreException fencedException() {
    return new StoreException(
        Reason.UNAVAILABLE, "another server has taken the database over from this one");
  }

  /**
   * Gets the database back after the connection was lost, and finds out what became of the batch.
   * Whoever has waited for long is told so meanwhile.
   *
   * @return whether the round has been dealt with; if not, nothing of it has been done
   */
  private boolean recover(Round round, Batch batch, String why) {
    LOG.warn("lost the connection to the database: {}", why);
    prefixes.clear(meta.revision());
    long floor = committing ? batch.revision() : meta.revision();
    Recovery recovery = new Recovery(dialect, connection, writerId, meta, floor);
    boolean answered = false;
    try {
      while (!closed) {
        Recovery.Found found = recovery.attempt();
        if (found instanceof Recovery.Taken) {
          fence();
          fail(answered ? List.of() : round.jobs, fencedException());
          return true;
        }
        if (found instanceof Recovery.Regained(Meta now, boolean jump)) {
          return regained(round, batch, now, jump, answered);
        }
        if (System.nanoTime() - recovery.began() > OUTAGE_PATIENCE_NANOS) {
          tellThatItIsAway(recovery, answered ? List.of() : round.jobs);
          answered = true;
        }
        recovery.pause();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    fail(answered ? List.of() : round.jobs, stopping());
    return true;
  }

  private boolean regained(Round round, Batch batch, Meta now, boolean jump, boolean answered) {
    boolean done = committing && !jump && now.commits() == batch.sealed().commits();
    metrics.count(StoreMetrics.Count.RECONNECTS, 1);
    LOG.info("connected to the database again");
    prefixes.clear(now.revision());
    if (done) {
      publish(now, batch);
      answer(answered ? List.of() : round.jobs);
      return true;
    }
    meta = now;
    if (jump) {
      hasAttributes = true;
      jumped.accept(now);
      listener.accept(Commit.jump(now.revision()));
      published = now.revision();
    }
    return answered;
  }

  /**
   * What became of the round is not known and may never be; of those who wait it is: nothing.
   *
   * @param lost the jobs of the round, unless they have been told
   */
  private void tellThatItIsAway(Recovery recovery, List<Job<?>> lost) {
    fail(lost, new StoreException(Reason.UNAVAILABLE, "the database cannot be reached"));
    StoreException notDone =
        recovery.isFull()
            ? new StoreException(Reason.NO_SPACE, "the database has no room")
            : new StoreException(Reason.UNAVAILABLE, "the database cannot be reached");
    rounds.forEach(waiting -> fail(waiting.jobs, notDone));
    rounds.clear();
    failQueued(notDone);
  }

  private void fence() {
    if (!fenced) {
      fenced = true;
      String why = "another server has taken this database over; this one has ended";
      LOG.error(why);
      // Not by this thread, which may be what the listener waits for.
      Thread.ofVirtual().start(() -> ended.complete(why));
    }
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
    connection.close();
  }
}
