package io.harikube.sql;

import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * Who may write. {@code meta.writer} names the server that the database belongs to, and the epoch
 * counts the connections that its writer has had: every commit checks the epoch, so that neither a
 * server that has lost its place nor a transaction left over from a lost connection can commit any
 * more.
 */
final class Epochs {
  /**
   * Another server's name, with an epoch and a number of commits below what this server has had, is
   * no other server: it is what the database was before this one took it.
   */
  private static final String RETAKE =
      """
      UPDATE meta SET writer = ?, epoch = CASE WHEN epoch > ? THEN epoch ELSE ? END + 1
      WHERE writer = ? OR (epoch < ? AND commits < ?)""";

  static final String SELECT = "SELECT epoch FROM meta";

  private Epochs() {}

  /**
   * Takes the database from whoever has it.
   *
   * @param server see {@link SqlOptions#server}
   */
  static Meta take(Session session, long writer, long server) throws SQLException {
    PreparedStatement update =
        session.prepare(
            "UPDATE meta SET writer = ?, epoch = epoch + 1, server = ?,"
                + " deposed = CASE WHEN server = ? THEN deposed ELSE server END");
    update.setLong(1, writer);
    update.setLong(2, server);
    update.setLong(3, server);
    update.executeUpdate();
    return Meta.read(session);
  }

  /** The writer that has taken the database from this server; 0 if none has. */
  static long deposedBy(Session session, long server) throws SQLException {
    PreparedStatement select = session.prepare("SELECT writer FROM meta WHERE deposed = ?");
    select.setLong(1, server);
    try (ResultSet rows = select.executeQuery()) {
      return server != 0 && rows.next() ? rows.getLong(1) : 0;
    }
  }

  /**
   * Begins a new epoch of a writer that still has the database; answers null if it has not.
   *
   * @param known what the writer last knew of the database
   */
  static @Nullable Meta retake(Session session, long writer, Meta known) throws SQLException {
    PreparedStatement update = session.prepare(RETAKE);
    update.setLong(1, writer);
    update.setLong(2, known.epoch());
    update.setLong(3, known.epoch());
    update.setLong(4, writer);
    update.setLong(5, known.epoch());
    update.setLong(6, known.commits());
    return update.executeUpdate() == 0 ? null : Meta.read(session);
  }

  /** Whether the epoch is still this one. */
  static boolean holds(Session session, long epoch) throws SQLException {
    try (ResultSet rows = session.prepare(SELECT).executeQuery()) {
      return rows.next() && rows.getLong(1) == epoch;
    }
  }
}
