package io.harikube.sql;

import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * The connections for reading. What they answer is never older than what this server had
 * acknowledged when it was asked; a database that is behind, whoever has led the connection there,
 * is asked no more, and if there is no other the read fails.
 */
interface Readers extends AutoCloseable {

  /** What a single statement answers, with the revision that the database had then. */
  interface Answer {
    long revision();
  }

  /** Work on a connection. */
  interface Work<T extends @Nullable Object> {
    T run(Session session) throws SQLException;
  }

  /** Work on a snapshot of the database, in which the table meta holds {@code meta}. */
  interface SnapshotWork<T extends @Nullable Object> {
    T run(Session session, Meta meta) throws SQLException;
  }

  /**
   * Runs a single statement, which is a snapshot of its own. When its connection is lost, or leads
   * to a database that is behind, it is run again, on another: it answers a value and changes
   * nothing else.
   */
  <T extends Answer> T single(Work<T> work) throws SQLException;

  /**
   * Runs {@code work} on one snapshot of the database. When its connection is lost it is run once
   * more, on another snapshot: it answers a value and changes nothing else.
   */
  <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException;

  @Override
  void close();
}
