package io.harikube.sql;

import java.sql.SQLException;

/** Lends connections, each to one who reads. */
interface Lender extends AutoCloseable {

  /** A connection in no transaction; waits while all are lent. */
  Session take() throws SQLException;

  /** Takes back a connection that is in no transaction. */
  void giveBack(Session session);

  /**
   * Closes a lent connection of which nobody knows in which state it is.
   *
   * @param others whether those that were opened before may be dead as well
   */
  void discard(Session session, boolean others);

  @Override
  void close();

  /** What a thread fails with that was told to stop while it waited; it stays told. */
  static SQLException givenUp(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new SQLException("the request was given up", e);
  }
}
