package io.harikube.sql;

import io.harikube.store.StoreMetrics;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies the write-ahead log into the database file, beside the writer and not in its way: a thread
 * with a connection of its own does passive checkpoints, whenever the log has grown by a step.
 *
 * <p>A passive checkpoint never gets to the end of a log that is being written, and only a log that
 * has been copied to its end starts anew. So once the log has half of its length, passive
 * checkpoints follow one another, each with less to copy than the one before, until only little is
 * left: that the writer copies itself between two commits. A log at its limit it copies whatever is
 * left.
 *
 * <p>The writer waits for nobody who reads. While somebody looks into an old state of the database
 * the log cannot start anew, and grows; it is cut off when they have left.
 */
final class SqliteCheckpointer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SqliteCheckpointer.class);
  private static final long FRAME_BYTES = 4096 + 24;
  private static final long STEP_FRAMES = 4096;
  private static final long REST_FRAMES = 512;
  private static final long IDLE_MILLIS = 5000;
  private static final long HELD_MILLIS = 1000;
  private static final long RETRY_MILLIS = 1000;

  /** How long the writer waits for those who read: a page is read in less. */
  private static final int WRITER_WAITS_MILLIS = 50;

  private final SessionPool.Connector connector;
  private final StoreMetrics metrics;
  private final long limitFrames;
  private final Semaphore wake = new Semaphore(0);

  /** The length of the log after the last commit or checkpoint. */
  private final AtomicLong frames = new AtomicLong();

  /** SQLite refuses a checkpoint at once while there is another one. */
  private final ReentrantLock copying = new ReentrantLock();

  /** Somebody who reads keeps the log from starting anew at its limit. */
  private volatile boolean held;

  /** The writer's: whether the log says so, until it has started anew. */
  private boolean told;

  private final AtomicLong sinceCheckpoint = new AtomicLong();
  private @Nullable Thread thread;
  private volatile boolean nearlyDone;
  private volatile boolean closed;

  SqliteCheckpointer(SessionPool.Connector connector, long limitBytes, StoreMetrics metrics) {
    this.connector = connector;
    this.metrics = metrics;
    metrics.level(StoreMetrics.Level.WAL_BYTES, this::walBytes);
    this.limitFrames = Math.max(2 * STEP_FRAMES, limitBytes / FRAME_BYTES);
  }

  /** About how long the log is, in bytes. */
  long walBytes() {
    return frames.get() * FRAME_BYTES;
  }

  /** Begins, unless it has. */
  synchronized void start() {
    if (thread == null) {
      thread = Thread.ofPlatform().daemon().name("checkpointer").start(this::run);
    }
  }

  /**
   * Called by the writer between transactions. What a transaction adds to the log is not known from
   * what it has changed: deletions of a compaction write a page for each row, and a vacuum moves
   * pages without a row.
   */
  void afterCommit(Session session) throws SQLException {
    long length = length(session);
    long before = frames.getAndSet(length);
    if (sinceCheckpoint.addAndGet(length < before ? length : length - before) >= STEP_FRAMES) {
      wake.release();
    }
    if (nearlyDone) {
      nearlyDone = false;
      copyRest(session, length);
    } else if (length >= limitFrames && !held && !copyRest(session, length)) {
      held = true;
      if (!told) {
        told = true;
        LOG.warn(
            "the write-ahead log has {} bytes, and grows: somebody reads an old state of the"
                + " database",
            walBytes());
      }
    }
  }

  private static long length(Session session) throws SQLException {
    try (ResultSet rows = session.prepare("PRAGMA wal_checkpoint(NOOP)").executeQuery()) {
      return rows.next() ? Math.max(0, rows.getLong(2)) : 0;
    }
  }

  /** Copies what is left by the writer; answers whether the log starts anew. */
  private boolean copyRest(Session session, long length) throws SQLException {
    // A log that has grown beyond its limit is cut off; to write over it again is quicker.
    String mode = length > limitFrames + STEP_FRAMES ? "TRUNCATE" : "RESTART";
    long before = SqliteDialect.number(session, "PRAGMA busy_timeout");
    SqliteConnector.plainly(session, "PRAGMA busy_timeout = " + WRITER_WAITS_MILLIS);
    try {
      if (checkpoint(session, mode) != 0) {
        return false;
      }
    } finally {
      SqliteConnector.plainly(session, "PRAGMA busy_timeout = " + before);
    }
    held = false;
    if (told) {
      told = false;
      LOG.info("the write-ahead log starts anew");
    }
    return true;
  }

  /** Empties the log, waiting for readers. */
  void truncate(Session session) throws SQLException {
    checkpoint(session, "TRUNCATE");
  }

  /** Whatever goes wrong with a connection, the next one may do. */
  private void run() {
    boolean failing = false;
    while (!closed) {
      try (Session session = connector.connect()) {
        while (!closed) {
          work(session);
          failing = false;
        }
      } catch (SQLException | RuntimeException | Error e) {
        if (!failing) {
          failing = true;
          LOG.warn("the write-ahead log cannot be copied, which is tried again: {}", e.toString());
        }
        pause();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private void pause() {
    try {
      TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closed = true;
    }
  }

  private void work(Session session) throws SQLException, InterruptedException {
    boolean grown = wake.tryAcquire(held ? HELD_MILLIS : IDLE_MILLIS, TimeUnit.MILLISECONDS);
    wake.drainPermits();
    if (grown || (held && sinceCheckpoint.get() > 0)) {
      nearlyDone = converge(session);
    } else if (frames.get() > 0 && sinceCheckpoint.getAndSet(0) == 0) {
      if (attempt(session, "TRUNCATE") == 0) {
        held = false;
      }
    }
  }

  /** Copies the log; answers whether it is long and nearly copied. */
  private boolean converge(Session session) throws SQLException {
    long before = Long.MAX_VALUE;
    long rest = attempt(session, "PASSIVE");
    if (rest == 0) {
      held = false;
    }
    while (frames.get() >= limitFrames / 2 && rest < before && !closed) {
      // What the writer has added meanwhile is not among what SQLite says is left.
      long added = sinceCheckpoint.get();
      if (rest + added <= REST_FRAMES) {
        return true;
      }
      before = rest + added;
      rest = attempt(session, "PASSIVE");
    }
    return false;
  }

  private long attempt(Session session, String mode) throws SQLException {
    long begin = System.nanoTime();
    long rest = checkpoint(session, mode);
    metrics.time(StoreMetrics.Time.CHECKPOINT, System.nanoTime() - begin);
    return rest;
  }

  /**
   * Answers how many frames of the log were not copied. What cannot be copied now, because somebody
   * is in the way, is copied the next time.
   */
  private long checkpoint(Session session, String mode) throws SQLException {
    copying.lock();
    try {
      return checkpointAlone(session, mode);
    } catch (SQLException e) {
      if (!Failure.sqliteGoesOn(e)) {
        throw e;
      }
      LOG.debug("a checkpoint is put off: {}", e.getMessage());
      return Long.MAX_VALUE;
    } finally {
      copying.unlock();
    }
  }

  private long checkpointAlone(Session session, String mode) throws SQLException {
    sinceCheckpoint.set(0);
    try (Statement statement = session.connection().createStatement();
        ResultSet rows = statement.executeQuery("PRAGMA wal_checkpoint(" + mode + ")")) {
      if (!rows.next()) {
        return Long.MAX_VALUE;
      }
      long length = rows.getLong(2);
      if (rows.getInt(1) != 0) {
        if (length >= 0) {
          frames.set(length);
        }
        return Long.MAX_VALUE;
      }
      length = Math.max(0, length);
      long rest = length - Math.max(0, rows.getLong(3));
      frames.set(rest == 0 && !mode.equals("PASSIVE") ? 0 : length);
      return rest;
    }
  }

  @Override
  public void close() {
    closed = true;
    wake.release();
    Thread running = thread;
    if (running != null) {
      try {
        running.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
