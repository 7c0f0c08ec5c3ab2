package io.harikube.sql;

import io.harikube.log.RareLine;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * How a server that starts becomes the writer of its database: in one transaction the store is
 * looked at, made or brought up to date, and taken. What fails is undone.
 *
 * <p>A server from which another one has taken the database waits here until that one has ended.
 */
final class Takeover {
  private static final Logger LOG = LoggerFactory.getLogger(Takeover.class);
  private static final RareLine DEPOSED =
      new RareLine(
          LOG,
          Level.WARN,
          Duration.ofMinutes(1),
          "another server has taken the database over from this one, and lives: this one starts when"
              + " that one has ended");
  private static final long DEPOSED_MILLIS = 500;

  private Takeover() {}

  /**
   * Takes the database.
   *
   * @param session the writer's, in no transaction; closed if this fails
   * @param writerId the name that the writer gets
   */
  static Meta run(Dialect dialect, Session session, long writerId, SqlOptions options)
      throws SQLException, OpenException {
    boolean taken = false;
    try {
      while (true) {
        dialect.begin(session);
        long known = Schema.migrate(dialect, session, options.admission());
        long other = Epochs.deposedBy(session, options.server());
        if (other == 0 || !dialect.lives(session, other)) {
          Meta meta = Epochs.take(session, writerId, options.server());
          if (meta.revision() < known) {
            meta = goAhead(session, meta, known);
          }
          dialect.showLife(session, writerId);
          dialect.commit(session);
          taken = true;
          return meta;
        }
        dialect.rollback(session);
        DEPOSED.write();
        TimeUnit.MILLISECONDS.sleep(DEPOSED_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OpenException("the start was given up", e);
    } finally {
      if (!taken) {
        session.close();
      }
    }
  }

  /** As {@link Recovery} does it: clients know revisions that the store does not have. */
  private static Meta goAhead(Session session, Meta meta, long known)
      throws SQLException, OpenException {
    if (known > Ids.MAX_REVISION - Meta.BUMP) {
      throw new OpenException(
          "the database has lost commits after revision "
              + meta.revision()
              + ", and there is no way beyond revision "
              + known);
    }
    Meta ahead = meta.bumped(known + Meta.BUMP);
    LOG.error(
        "the database is an earlier state of the store, by a backup or a failover: it is at revision"
            + " {}, and revision {} was durable. What came after is lost. The store goes on at"
            + " revision {}; all watches and clients have to read anew",
        meta.revision(),
        known,
        ahead.revision());
    if (!ahead.write(session)) {
      throw new SQLException("another server has taken the database over");
    }
    return ahead;
  }
}
