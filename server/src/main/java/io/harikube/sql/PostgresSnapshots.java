package io.harikube.sql;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/** How a snapshot of PostgreSQL begins and ends. */
final class PostgresSnapshots {
  private static final String BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ;\n";

  /**
   * Neither the session is told of the isolation, which may be a pooler's, nor the transaction that
   * it only reads, which would have a pooler that balances send it to a standby.
   */
  private static final String SNAPSHOT = BEGIN + Meta.SELECT;

  private static final String POOLED_SNAPSHOT =
      BEGIN + PostgresConnector.TRANSACTION_SETTINGS + ";\n" + Meta.SELECT;

  private PostgresSnapshots() {}

  /** One round trip. Only from here on the driver may fetch the rows of a statement in parts. */
  static Meta begin(Session session) throws SQLException {
    Connection connection = session.connection();
    boolean pooled = PostgresConnector.isPooled(connection);
    PreparedStatement begin = session.prepare(pooled ? POOLED_SNAPSHOT : SNAPSHOT);
    begin.execute();
    for (int answer = 0; answer < (pooled ? 2 : 1); answer++) {
      begin.getMoreResults();
    }
    try (ResultSet rows = begin.getResultSet()) {
      Meta meta = Meta.read(rows);
      connection.setAutoCommit(false);
      return meta;
    }
  }

  static void end(Session session, boolean failed) throws SQLException {
    Connection connection = session.connection();
    // Before the snapshot stands there is nothing that the driver would roll back.
    connection.setAutoCommit(false);
    if (failed) {
      connection.rollback();
    } else {
      connection.commit();
    }
    connection.setAutoCommit(true);
  }
}
