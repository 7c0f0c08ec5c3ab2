package io.harikube.sql;

import io.harikube.store.StoreMetrics;
import java.sql.ResultSet;
import java.sql.SQLException;
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
 * left: that the writer copies itself between two commits, and waits for the readers that still
 * look into the log. A log at its limit it copies whatever is left.
 */
final class SqliteCheckpointer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SqliteCheckpointer.class);
  private static final long FRAME_BYTES = 4096 + 24;
  private static final long STEP_FRAMES = 4096;
  private static final long REST_FRAMES = 512;
  private static final long IDLE_MILLIS = 5000;

  private final SqliteReaders.Connector connector;
  private final StoreMetrics metrics;
  private final long limitFrames;
  private final Semaphore wake = new Semaphore(0);

  /** The length of the log after the last commit or checkpoint. */
  private final AtomicLong frames = new AtomicLong();

  /** SQLite refuses a checkpoint at once while there is another one. */
  private final ReentrantLock copying = new ReentrantLock();

  /** The length at which the writer copies the log next, and waits for those who read it. */
  private long nextFrames;

  private final AtomicLong sinceCheckpoint = new AtomicLong();
  private @Nullable Thread thread;
  private volatile boolean nearlyDone;
  private volatile boolean closed;

  SqliteCheckpointer(SqliteReaders.Connector connector, long limitBytes, StoreMetrics metrics) {
    this.connector = connector;
    this.metrics = metrics;
    metrics.level(StoreMetrics.Level.WAL_BYTES, this::walBytes);
    this.limitFrames = Math.max(2 * STEP_FRAMES, limitBytes / FRAME_BYTES);
  }

  /** About how long the log is, in bytes. */
  long walBytes() {
    return frames.get() * FRAME_BYTES;
  }

  void start() {
    thread = Thread.ofPlatform().daemon().name("checkpointer").start(this::run);
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
      restart(session);
    } else if (length < limitFrames) {
      nextFrames = limitFrames;
    } else if (length >= nextFrames && !restart(session)) {
      LOG.warn("readers kept the write-ahead log from starting anew at {} bytes", walBytes());
      nextFrames = length + STEP_FRAMES;
    }
  }

  private static long length(Session session) throws SQLException {
    try (ResultSet rows = session.prepare("PRAGMA wal_checkpoint(NOOP)").executeQuery()) {
      return rows.next() ? Math.max(0, rows.getLong(2)) : 0;
    }
  }

  private boolean restart(Session session) {
    try {
      return checkpoint(session, "RESTART") == 0;
    } catch (SQLException e) {
      LOG.debug("a checkpoint is put off: {}", e.getMessage());
      return false;
    }
  }

  /** Empties the log, waiting for readers. */
  void truncate(Session session) throws SQLException {
    checkpoint(session, "TRUNCATE");
  }

  private void run() {
    try (Session session = connector.connect()) {
      session.execute("PRAGMA busy_timeout = 0");
      while (!closed) {
        boolean grown = wake.tryAcquire(IDLE_MILLIS, TimeUnit.MILLISECONDS);
        wake.drainPermits();
        if (grown) {
          nearlyDone = converge(session);
        } else if (frames.get() > 0 && sinceCheckpoint.getAndSet(0) == 0) {
          attempt(session, "TRUNCATE");
        }
      }
    } catch (SQLException e) {
      LOG.error("checkpoints are left to the writer: {}", e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Copies the log; answers whether it is long and nearly copied. */
  private boolean converge(Session session) {
    long before = Long.MAX_VALUE;
    long rest = attempt(session, "PASSIVE");
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

  /** What cannot be copied now, because somebody is in the way, is copied the next time. */
  private long attempt(Session session, String mode) {
    long begin = System.nanoTime();
    try {
      long rest = checkpoint(session, mode);
      metrics.time(StoreMetrics.Time.CHECKPOINT, System.nanoTime() - begin);
      return rest;
    } catch (SQLException e) {
      LOG.debug("a checkpoint is put off: {}", e.getMessage());
      return Long.MAX_VALUE;
    }
  }

  /** Answers how many frames of the log were not copied. */
  private long checkpoint(Session session, String mode) throws SQLException {
    copying.lock();
    try {
      return checkpointAlone(session, mode);
    } finally {
      copying.unlock();
    }
  }

  private long checkpointAlone(Session session, String mode) throws SQLException {
    sinceCheckpoint.set(0);
    try (ResultSet rows = session.prepare("PRAGMA wal_checkpoint(" + mode + ")").executeQuery()) {
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
