package io.harikube.sql;

import io.harikube.log.RareLine;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Gets the writer's connection back, whichever database it leads to, and finds out what that
 * database holds.
 *
 * <p>A new connection raises the epoch and commits that. The row waits for a transaction of the old
 * connection that may still be under way, and keeps it from committing if it has not got that far;
 * on SQLite the commit overwrites what a failed one has left in the write-ahead log, which a crash
 * would bring back. After that nothing about the past can change any more.
 *
 * <p>The database may be one that has not got what this writer has committed: a standby that was
 * promoted, a backup. Then it goes on at a revision that nobody can know of, with everything below
 * compacted; see {@link Meta#bumped}.
 *
 * <p>For the writer's thread alone.
 */
final class Recovery {
  private static final Logger LOG = LoggerFactory.getLogger(Recovery.class);
  private static final RareLine UNREACHABLE =
      new RareLine(LOG, Level.WARN, Duration.ofSeconds(10), "cannot use the database yet: {}");
  private static final int FIRST_PAUSE_MILLIS = 10;
  private static final int LONGEST_PAUSE_MILLIS = 1000;

  /** How long jobs wait for a lost database before they are told to come again. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(8);

  private final Dialect dialect;
  private final WriterConnection connection;
  private final long writerId;
  private final Meta acknowledged;
  private final long floor;
  private int pause = FIRST_PAUSE_MILLIS;
  private boolean full;

  /** What has been found: the writer has the database again, or another one has it. */
  sealed interface Found {}

  /**
   * The database is the writer's.
   *
   * @param jumped whether it had lost commits, and goes on at a later revision
   */
  record Regained(Meta meta, boolean jumped) implements Found {}

  /** Another server has taken it. */
  record Taken() implements Found {}

  /** Nobody waits any more. */
  record GivenUp() implements Found {}

  /** Is told, again and again, that the database has been away for long. */
  interface Impatient {
    /**
     * Tells it.
     *
     * @param full whether it is there, but has no room
     */
    void tell(boolean full);
  }

  /**
   * @param acknowledged what the writer knows to be durable
   * @param floor the highest revision that anybody may have seen
   */
  Recovery(
      Dialect dialect, WriterConnection connection, long writerId, Meta acknowledged, long floor) {
    this.dialect = dialect;
    this.connection = connection;
    this.writerId = writerId;
    this.acknowledged = acknowledged;
    this.floor = Math.max(floor, acknowledged.revision());
  }

  /** Tries until the database can be used, or nobody waits any more. */
  Found run(BooleanSupplier waiting, Impatient impatient) {
    long began = System.nanoTime();
    try {
      while (waiting.getAsBoolean()) {
        Found found = attempt();
        if (found != null) {
          return found;
        }
        if (System.nanoTime() - began > PATIENCE_NANOS) {
          impatient.tell(full);
        }
        TimeUnit.MILLISECONDS.sleep(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return new GivenUp();
  }

  /** Tries once; answers null if the database cannot be used yet. */
  private @Nullable Found attempt() {
    try {
      connection.reopen();
      return connection.transaction(this::retake);
    } catch (SQLException e) {
      full = causedByFull(e);
      UNREACHABLE.write(Sentences.first(e));
      return null;
    } catch (RuntimeException | Error e) {
      full = false;
      UNREACHABLE.write(e.toString(), e);
      return null;
    }
  }

  private boolean causedByFull(SQLException e) {
    return dialect.failure(e) == Failure.FULL
        || (e.getCause() instanceof SQLException cause && dialect.failure(cause) == Failure.FULL);
  }

  private Found retake(WriterConnection.Transaction transaction) throws SQLException {
    Session session = transaction.session();
    Meta found = Epochs.retake(session, writerId, acknowledged);
    if (found == null) {
      return new Taken();
    }
    boolean behind =
        found.commits() < acknowledged.commits() || found.revision() < acknowledged.revision();
    if (behind) {
      LOG.error(
          "the database has lost commits: it is at revision {} and commit {}, this server had been"
              + " told that revision {} and commit {} were durable. It goes on at a later revision;"
              + " all watches and clients have to read anew",
          found.revision(),
          found.commits(),
          acknowledged.revision(),
          acknowledged.commits());
      found = found.bumped(floor + Meta.BUMP).withCommits(acknowledged.commits() + 2);
      if (!found.write(session)) {
        return new Taken();
      }
    }
    dialect.showLife(session, writerId);
    dialect.commit(session);
    transaction.committed();
    // Also if the answer to the commit of an earlier attempt was lost.
    return new Regained(found, found.revision() > floor);
  }
}
