package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.StoreException;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Reads that can be relied upon. Each ends in one of three ways: its connection is given back in no
 * transaction; or nobody knows in which state the connection is, and it is closed; or the
 * connection leads to a database that is behind this server, and it is closed as well. In the last
 * two cases the read is done again on another connection.
 */
final class CheckedReaders implements Readers {
  private static final Logger LOG = LoggerFactory.getLogger(CheckedReaders.class);
  private static final RareLine BEHIND =
      new RareLine(
          LOG, Level.WARN, Duration.ofSeconds(10), "{}; it is asked again on another connection");
  private static final long MAX_PAUSE_MILLIS = 200;

  private final Lender lender;
  private final Dialect dialect;
  private final long patienceNanos;
  private volatile @Nullable Supplier<Meta> acknowledged;

  /** The connection leads to a database that lacks what this server has acknowledged. */
  private static final class Behind extends SQLTransientConnectionException {
    private static final long serialVersionUID = 1;

    Behind(String what, long found, long least) {
      super(
          "a reader's connection leads to a database that is behind: it is at "
              + what
              + " "
              + found
              + ", and this server has acknowledged "
              + least);
    }
  }

  /** What a read does on one connection. */
  private interface Attempt<T extends @Nullable Object> {
    T run(Session session, @Nullable Meta least) throws SQLException;
  }

  /**
   * @param patience how long to look for a database that is not behind
   */
  CheckedReaders(Lender lender, Dialect dialect, Duration patience) {
    this.lender = lender;
    this.dialect = dialect;
    this.patienceNanos = patience.toNanos();
  }

  /** See {@link Dialect#floor}. */
  void floor(Supplier<Meta> newAcknowledged) {
    acknowledged = newAcknowledged;
  }

  @Override
  public <T extends Answer> T single(Work<T> work) throws SQLException {
    return repeat(
        false,
        (session, least) -> {
          T answer = work.run(session);
          if (least != null && answer.revision() < least.revision()) {
            throw new Behind("revision", answer.revision(), least.revision());
          }
          return answer;
        });
  }

  @Override
  public <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException {
    return repeat(
        true,
        (session, least) -> {
          Meta meta = dialect.beginSnapshot(session);
          if (least != null && meta.revision() < least.revision()) {
            throw new Behind("revision", meta.revision(), least.revision());
          }
          // Leases and compactions are commits without a revision.
          if (least != null && meta.commits() < least.commits()) {
            throw new Behind("commit", meta.commits(), least.commits());
          }
          return work.run(session, meta);
        });
  }

  private <T extends @Nullable Object> T repeat(boolean snapshot, Attempt<T> attempt)
      throws SQLException {
    Supplier<Meta> floor = acknowledged;
    Meta least = floor == null ? null : floor.get();
    long begin = System.nanoTime();
    boolean lost = false;
    long pause = 1;
    while (true) {
      try {
        return once(snapshot, attempt, least);
      } catch (Behind e) {
        BEHIND.write(e.getMessage());
        if (System.nanoTime() - begin > patienceNanos) {
          throw e;
        }
        pause(pause);
        pause = Math.min(2 * pause, MAX_PAUSE_MILLIS);
      } catch (SQLException e) {
        // A connection that died unused says nothing about the database: the next one is a new one.
        if (lost
            || dialect.failure(e) != Failure.UNKNOWN
            || Thread.currentThread().isInterrupted()) {
          throw e;
        }
        lost = true;
      }
    }
  }

  private <T extends @Nullable Object> T once(
      boolean snapshot, Attempt<T> attempt, @Nullable Meta least) throws SQLException {
    Session session = lender.take();
    boolean failed = true;
    boolean known = false;
    boolean others = false;
    try {
      T answer = attempt.run(session, least);
      failed = false;
      known = true;
      return answer;
    } catch (Behind e) {
      throw e;
    } catch (SQLException e) {
      known = dialect.goesOn(e);
      others = dialect.failure(e) == Failure.UNKNOWN;
      throw e;
    } catch (StoreException | Collector.Overflow e) {
      // Ours, thrown between two statements.
      known = true;
      throw e;
    } finally {
      if (known && (!snapshot || ends(session, failed))) {
        lender.giveBack(session);
      } else {
        lender.discard(session, others);
      }
    }
  }

  /** Whether the snapshot has ended. What has been read in it is right in any case. */
  private boolean ends(Session session, boolean failed) {
    try {
      dialect.endSnapshot(session, failed);
      return true;
    } catch (SQLException e) {
      LOG.debug("a reading connection is closed: {}", e.getMessage());
      return false;
    }
  }

  private static void pause(long millis) throws SQLException {
    try {
      TimeUnit.MILLISECONDS.sleep(millis);
    } catch (InterruptedException e) {
      throw Lender.givenUp(e);
    }
  }

  @Override
  public void close() {
    lender.close();
  }
}
