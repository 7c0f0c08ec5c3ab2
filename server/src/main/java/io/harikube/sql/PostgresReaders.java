package io.harikube.sql;

import com.zaxxer.hikari.HikariDataSource;
import java.net.SocketException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import org.jspecify.annotations.Nullable;

/** A pool of connections that only read. */
final class PostgresReaders implements Readers {
  private final Endpoint.Postgres endpoint;
  private final SqlOptions options;
  private volatile @Nullable HikariDataSource pool;

  PostgresReaders(Endpoint.Postgres endpoint, SqlOptions options) {
    this.endpoint = endpoint;
    this.options = options;
  }

  private HikariDataSource pool() {
    HikariDataSource current = pool;
    if (current == null) {
      synchronized (this) {
        current = pool;
        if (current == null) {
          current = PostgresDialect.pool(endpoint, options);
          pool = current;
        }
      }
    }
    return current;
  }

  @Override
  public <T extends @Nullable Object> T single(Work<T> work) throws SQLException {
    return run(true, work);
  }

  @Override
  public <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException {
    return run(false, session -> work.run(session, Meta.read(session)));
  }

  private <T extends @Nullable Object> T run(boolean autoCommit, Work<T> work) throws SQLException {
    boolean tried = false;
    while (true) {
      try (Connection connection = pool().getConnection()) {
        connection.setAutoCommit(autoCommit);
        T result = work.run(new Session(connection));
        if (!autoCommit) {
          connection.commit();
        }
        return result;
      } catch (SQLException e) {
        // A connection that died in the pool says nothing about the database: the next one is a new
        // one.
        if (tried || !isConnectionLost(e)) {
          throw e;
        }
        tried = true;
      }
    }
  }

  static boolean isConnectionLost(SQLException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SocketException || cause instanceof SQLTransientConnectionException) {
        return true;
      }
      if (cause instanceof SQLException sql && sql.getSQLState() != null) {
        String state = sql.getSQLState();
        // 08: connection; 57P01 to 57P03: the server is stopping, has crashed, is starting; 53300:
        // too many.
        if (state.startsWith("08") || state.startsWith("57P0") || state.equals("53300")) {
          return true;
        }
      }
    }
    return false;
  }

  @Override
  public synchronized void close() {
    HikariDataSource current = pool;
    if (current != null) {
      current.close();
    }
  }
}
