package io.harikube.sql;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A connection with its prepared statements, each prepared once. To be used by one thread at a
 * time.
 */
final class Session implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Session.class);

  /** Filters make statements of any shape: those that were not used for longest are given up. */
  private static final int MAX_STATEMENTS = 200;

  /** Longer ones are as many as there are filters, and take memory that nothing else counts. */
  private static final int MAX_KEPT_LENGTH = 8 << 10;

  private final Connection connection;
  private final Function<List<byte[]>, ManyValues> many;
  private @Nullable PreparedStatement passing;
  private final Map<String, PreparedStatement> statements =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, PreparedStatement> eldest) {
          if (size() <= MAX_STATEMENTS) {
            return false;
          }
          close(eldest.getValue());
          return true;
        }
      };

  /**
   * @param many how the database takes many values as one parameter
   */
  Session(Connection connection, Function<List<byte[]>, ManyValues> many) {
    this.connection = connection;
    this.many = many;
  }

  Connection connection() {
    return connection;
  }

  /** Many values as a parameter. */
  ManyValues many(List<byte[]> values) {
    return many.apply(values);
  }

  /**
   * The statement for {@code sql}; it stays open, its result sets are the caller's to close. A long
   * one is closed when the next long one is asked for.
   */
  PreparedStatement prepare(String sql) throws SQLException {
    if (sql.length() > MAX_KEPT_LENGTH) {
      if (passing != null) {
        close(passing);
      }
      passing = Objects.requireNonNull(connection.prepareStatement(sql));
      return passing;
    }
    PreparedStatement statement = statements.get(sql);
    if (statement == null) {
      statement = Objects.requireNonNull(connection.prepareStatement(sql));
      statements.put(sql, statement);
    }
    return statement;
  }

  private static void close(PreparedStatement statement) {
    try {
      statement.close();
    } catch (SQLException e) {
      LOG.debug("closing a statement: {}", e.getMessage());
    }
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
