package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.AttributeName;
import io.harikube.store.AttributeReader;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.TaskRules;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Does rounds of jobs, each in one database transaction: evaluates them, commits once, publishes
 * the events and then answers everyone; and settles what fails.
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
 *
 * <p>For the writer's thread alone, but for what is said to be the state of the store.
 */
final class Committer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Committer.class);
  private static final RareLine REFUSED =
      new RareLine(LOG, Level.WARN, Duration.ofSeconds(10), "the database refused a change: {}");
  private static final RareLine ONE_BY_ONE =
      new RareLine(
          LOG,
          Level.WARN,
          Duration.ofSeconds(10),
          "a batch of {} changes was refused and is done one by one: {}");

  /** How often a batch, and then each job alone, may cost the connection. */
  private static final int MOST_LOSSES = 2;

  private final Dialect dialect;
  private final StoreMetrics metrics;
  private final AttributeReader reader;
  private final TaskRules rules;
  private final PrefixCounts prefixes;
  private final long slowNanos;
  private final long writerId;
  private final int eventBytes;
  private final WriterConnection connection;
  private final Waiting waiting;
  private final Publisher publisher;
  private final Rounds rounds = new Rounds();

  private volatile Meta meta;
  private boolean housekeeping;
  private Batch.Present present = new Batch.Present(true, true);
  private volatile Runnable ready = () -> {};
  private final BatchTasks.Ids taskIds = new BatchTasks.Ids();

  /** Whether the batch may have become durable, and the time since which it may. */
  private boolean committing;

  private long sealed;
  private boolean fenced;

  /** Those who wait behind the jobs that are being done. */
  interface Waiting {
    /** Whether the server goes on. */
    boolean goesOn();

    /** Fails whatever waits. */
    void fail(StoreException e);
  }

  /** How a batch ended without an exception. */
  private enum End {
    COMMITTED,
    UNCHANGED,
    FENCED
  }

  Committer(
      Dialect dialect,
      Session session,
      long writerId,
      Meta meta,
      SqlOptions options,
      StoreMetrics metrics,
      AttributeReader reader,
      TaskRules rules,
      PrefixCounts prefixes,
      Waiting waiting) {
    this.rules = rules;
    this.dialect = dialect;
    this.waiting = waiting;
    this.prefixes = prefixes;
    this.reader = reader;
    this.metrics = metrics;
    this.slowNanos = options.slowQuery().toNanos();
    this.writerId = writerId;
    this.connection = new WriterConnection(dialect, session);
    this.meta = meta;
    this.eventBytes = options.eventBytes();
    this.publisher = new Publisher(meta.revision());
  }

  /** Looks at the database before the first round. */
  void start() throws SQLException {
    present =
        connection.transaction(
            transaction ->
                new Batch.Present(
                    hasNames(transaction.session(), new KeyRange(Bytes.EMPTY, null)),
                    hasNames(transaction.session(), AttributeName.WATCHED_NAMES)));
  }

  private static boolean hasNames(Session session, KeyRange names) throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT 1 FROM attribute WHERE " + Rows.condition("name", names) + " LIMIT 1");
    Rows.bind(select, 1, names);
    try (ResultSet rows = select.executeQuery()) {
      return rows.next();
    }
  }

  /** Has a listener called after each commit that may have made a task ready. */
  void onReady(Runnable listener) {
    ready = listener;
  }

  Publisher publisher() {
    return publisher;
  }

  /** What the database held after the last commit that is known of; for any thread. */
  Meta meta() {
    return meta;
  }

  /** Gives free space back after the commit of the batch. */
  boolean defragment(Batch batch) {
    batch.afterCommit(() -> housekeeping = true);
    batch.markDirty();
    return true;
  }

  /** Does jobs; without any, only looks whether the database is still this writer's. */
  void process(List<Job<?>> jobs) {
    rounds.clear();
    rounds.add(jobs);
    for (Rounds.Round round = rounds.poll(); round != null; round = rounds.poll()) {
      if (fenced) {
        fail(round.jobs(), Refusals.taken());
      } else {
        run(round);
      }
    }
  }

  private void run(Rounds.Round round) {
    Batch batch = new Batch(dialect, reader, rules, taskIds, meta, eventBytes, present);
    batch.onReady(ready);
    long begin = System.nanoTime();
    committing = false;
    if (!connection.isOpen()) {
      lost(round, batch, "it was closed after a failure");
      return;
    }
    try {
      switch (end(round, batch)) {
        case UNCHANGED -> {
          batch.effects().run(metrics);
          answer(round.jobs());
        }
        case FENCED -> {
          committing = false;
          lost(round, batch, "another connection has taken its place");
        }
        case COMMITTED -> {
          measure(batch, round.jobs().size(), begin);
          publish(batch.sealed(), batch);
          answer(round.jobs());
          maintain();
        }
      }
    } catch (Poisoned poisoned) {
      poisoned.job.fail(poisoned.reason);
      answer(List.of(poisoned.job));
      rounds.without(round, poisoned.job);
    } catch (SQLException e) {
      failed(round, batch, e);
    }
  }

  /** An error of the program says as little of what became of a batch as a lost connection. */
  private End end(Rounds.Round round, Batch batch) throws SQLException, Poisoned {
    try {
      return connection.transaction(transaction -> run(transaction, batch, round.jobs()));
    } catch (RuntimeException | Error e) {
      LOG.error("the writer failed on a batch", e);
      throw new OutcomeUnknownException(e);
    }
  }

  private End run(WriterConnection.Transaction transaction, Batch batch, List<Job<?>> jobs)
      throws SQLException, Poisoned {
    batch.begin(transaction.session());
    Evaluation.evaluate(batch, jobs);
    if (!batch.isDirty()) {
      return dialect.stillOurs(transaction.session(), meta.epoch()) ? End.UNCHANGED : End.FENCED;
    }
    if (!batch.commit(() -> committing(batch))) {
      return End.FENCED;
    }
    transaction.committed();
    return End.COMMITTED;
  }

  private void failed(Rounds.Round round, Batch batch, SQLException e) {
    prefixes.clear(meta.revision());
    List<Job<?>> jobs = round.jobs();
    switch (dialect.failure(e)) {
      case REFUSED -> {
        if (jobs.size() > 1) {
          ONE_BY_ONE.write(jobs.size(), Sentences.first(e));
          rounds.oneByOne(round.jobs());
        } else {
          REFUSED.write(Sentences.first(e));
          fail(jobs, Refusals.byDatabase(Reason.REFUSED, e));
        }
      }
      case UNAVAILABLE -> {
        REFUSED.write(Sentences.first(e));
        fail(jobs, Refusals.byDatabase(Reason.UNAVAILABLE, e));
      }
      case FULL -> {
        REFUSED.write(Sentences.first(e));
        fail(jobs, Refusals.byDatabase(Reason.NO_SPACE, e));
      }
      case UNKNOWN -> lost(round, batch, e);
    }
  }

  /** Finds out what became of a batch whose connection or commit failed, and goes on from there. */
  private void lost(Rounds.Round round, Batch batch, SQLException e) {
    boolean full =
        e.getCause() instanceof SQLException cause && dialect.failure(cause) == Failure.FULL;
    if (recover(round, batch, Sentences.first(e))) {
      return;
    }
    if (full) {
      fail(round.jobs(), Refusals.byDatabase(Reason.NO_SPACE, e));
    } else if (round.losses() + 1 < MOST_LOSSES) {
      rounds.again(round.jobs(), round.losses() + 1);
    } else if (round.jobs().size() > 1) {
      rounds.oneByOne(round.jobs());
    } else {
      // A disk that fails is no fault of the change; one that ends its connection each time is.
      fail(
          round.jobs(),
          Refusals.byDatabase(dialect.isShared() ? Reason.REFUSED : Reason.UNAVAILABLE, e));
    }
  }

  private void lost(Rounds.Round round, Batch batch, String why) {
    if (!recover(round, batch, why)) {
      rounds.again(round.jobs(), round.losses());
    }
  }

  /** The changes of a batch are about to become durable, and seen by those who read. */
  private void committing(Batch batch) {
    if (batch.revision() > meta.revision()) {
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

  private void publish(Meta now, Batch batch) {
    long first = meta.revision() + 1;
    meta = now;
    present = batch.present();
    batch.effects().run(metrics);
    if (now.revision() >= first) {
      publisher.commit(first, now.revision(), batch.events());
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

  /**
   * Gets the database back after the connection was lost, and finds out what became of the batch.
   * Whoever has waited for long is told so meanwhile.
   *
   * @return whether the round has been dealt with; if not, nothing of it has been done
   */
  private boolean recover(Rounds.Round round, Batch batch, String why) {
    LOG.warn("lost the connection to the database: {}", why);
    prefixes.clear(meta.revision());
    long floor = committing ? batch.revision() : meta.revision();
    List<Job<?>> lost = new ArrayList<>(round.jobs());
    Recovery.Found found =
        new Recovery(dialect, connection, writerId, meta, floor)
            .run(waiting::goesOn, full -> tellThatItIsAway(lost, full));
    return switch (found) {
      case Recovery.Regained(Meta now, boolean jump) -> {
        boolean done = committing && !jump && now.commits() == batch.sealed().commits();
        regained(batch, now, jump, done);
        if (done) {
          answer(lost);
        }
        yield done || lost.size() < round.jobs().size();
      }
      case Recovery.Taken _ -> {
        fence();
        fail(lost, Refusals.taken());
        yield true;
      }
      case Recovery.GivenUp _ -> {
        fail(lost, Refusals.stopping());
        yield true;
      }
    };
  }

  private void regained(Batch batch, Meta now, boolean jump, boolean done) {
    metrics.count(StoreMetrics.Count.RECONNECTS, 1);
    taskIds.doubt();
    LOG.info("connected to the database again");
    prefixes.clear(now.revision());
    if (done) {
      publish(now, batch);
      return;
    }
    meta = now;
    if (jump) {
      present = new Batch.Present(true, true);
      publisher.jump(now);
    }
  }

  /**
   * What became of the batch is not known and may never be; of those who wait it is: nothing.
   *
   * @param lost the jobs of the batch, which are told only once
   * @param full whether the database has no room
   */
  private void tellThatItIsAway(List<Job<?>> lost, boolean full) {
    fail(lost, Refusals.away());
    lost.clear();
    StoreException notDone = full ? Refusals.full() : Refusals.away();
    fail(rounds.clear(), notDone);
    waiting.fail(notDone);
  }

  private void fence() {
    if (!fenced) {
      fenced = true;
      String why = "another server has taken this database over; this one has ended";
      LOG.error(why);
      publisher.end(why);
    }
  }

  @Override
  public void close() {
    connection.close();
  }
}
