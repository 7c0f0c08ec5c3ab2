package io.harikube.sql;

import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** The connections for reading. */
interface Readers extends AutoCloseable {

  /** Work on a connection. */
  interface Work<T extends @Nullable Object> {
    T run(Session session) throws SQLException;
  }

  /** Work on a snapshot of the database, in which the table meta holds {@code meta}. */
  interface SnapshotWork<T extends @Nullable Object> {
    T run(Session session, Meta meta) throws SQLException;
  }

  /**
   * Runs a single statement, which is a snapshot of its own. When its connection is lost it is run
   * once more, on another: it answers a value and changes nothing else.
   */
  <T extends @Nullable Object> T single(Work<T> work) throws SQLException;

  /**
   * Runs {@code work} on one snapshot of the database. When its connection is lost it is run once
   * more, on another snapshot: it answers a value and changes nothing else.
   */
  <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException;

  @Override
  void close();
}
