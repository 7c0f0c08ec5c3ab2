package io.harikube.sql;

import io.harikube.store.StoreMetrics;
import io.harikube.store.StoreMetrics.Level;
import java.sql.SQLException;
import java.util.List;

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

  /** How many connections there are. */
  int opened();

  /** How many of them are lent. */
  int lent();

  /** How many wait for one. */
  int awaited();

  @Override
  void close();

  /** Has it known how many connections these have together. */
  static void report(StoreMetrics metrics, List<Lender> all) {
    metrics.level(Level.CONNECTIONS, () -> all.stream().mapToLong(Lender::opened).sum());
    metrics.level(Level.CONNECTIONS_BUSY, () -> all.stream().mapToLong(Lender::lent).sum());
    metrics.level(Level.CONNECTIONS_AWAITED, () -> all.stream().mapToLong(Lender::awaited).sum());
  }

  /** What a thread fails with that was told to stop while it waited; it stays told. */
  static SQLException givenUp(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new SQLException("the request was given up", e);
  }
}
