package io.harikube.sql;

import java.sql.PreparedStatement;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * Who may write. {@code meta.writer} names the server that the database belongs to, and the epoch
 * counts the connections that its writer has had: every commit checks the epoch, so that neither a
 * server that has lost its place nor a transaction left over from a lost connection can commit any
 * more.
 */
final class Epochs {
  private Epochs() {}

  /** Takes the database from whoever has it. */
  static Meta take(Session session, long writer) throws SQLException {
    PreparedStatement update = session.prepare("UPDATE meta SET writer = ?, epoch = epoch + 1");
    update.setLong(1, writer);
    update.executeUpdate();
    return Meta.read(session);
  }

  /** Begins a new epoch of a writer that still has the database; answers null if it has not. */
  static @Nullable Meta retake(Session session, long writer) throws SQLException {
    PreparedStatement update =
        session.prepare("UPDATE meta SET epoch = epoch + 1 WHERE writer = ?");
    update.setLong(1, writer);
    return update.executeUpdate() == 0 ? null : Meta.read(session);
  }
}
