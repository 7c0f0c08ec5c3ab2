package io.harikube.sql;

import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** The connections for reading. */
interface Readers extends AutoCloseable {

  /** Work on a connection. */
  interface Work<T extends @Nullable Object> {
    T run(Session session) throws SQLException;
  }

  /** Runs a single statement, which is a snapshot of its own. */
  <T extends @Nullable Object> T single(Work<T> work) throws SQLException;

  /** Runs {@code work} on one snapshot of the database. */
  <T extends @Nullable Object> T snapshot(Work<T> work) throws SQLException;

  @Override
  void close();
}
