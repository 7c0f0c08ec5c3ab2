package io.harikube.sql;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/**
 * A connection with its prepared statements, each prepared once. To be used by one thread at a
 * time.
 */
final class Session implements AutoCloseable {
  private final Connection connection;
  private final Map<String, PreparedStatement> statements = new HashMap<>();

  Session(Connection connection) {
    this.connection = connection;
  }

  Connection connection() {
    return connection;
  }

  /** The statement for {@code sql}; it stays open, its result sets are the caller's to close. */
  PreparedStatement prepare(String sql) throws SQLException {
    PreparedStatement statement = statements.get(sql);
    if (statement == null) {
      statement = Objects.requireNonNull(connection.prepareStatement(sql));
      statements.put(sql, statement);
    }
    return statement;
  }

  /** Runs {@code sql} and passes over what it answers. */
  void execute(String sql) throws SQLException {
    PreparedStatement statement = prepare(sql);
    if (statement.execute()) {
      // A statement that is not at its end holds up the next commit of SQLite.
      try (ResultSet rows = statement.getResultSet()) {
        while (rows.next()) {
          rows.getObject(1);
        }
      }
    }
  }

  @Override
  public void close() throws SQLException {
    connection.close();
  }
}
