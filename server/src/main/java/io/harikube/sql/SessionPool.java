package io.harikube.sql;

import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A fixed number of sessions, opened when first needed. Whoever wants one waits while none is free.
 */
final class SessionPool implements Lender {
  private static final Logger LOG = LoggerFactory.getLogger(SessionPool.class);

  /** Opens a connection. */
  interface Connector {
    Session connect() throws SQLException;
  }

  private final Connector connector;
  private final int size;
  private final long patienceMillis;
  private final Semaphore free;
  private final Deque<Session> idle = new ConcurrentLinkedDeque<>();
  private volatile boolean closed;

  /**
   * @param patienceMillis how long to wait for a session that is free
   */
  SessionPool(int size, long patienceMillis, Connector connector) {
    this.size = size;
    this.connector = connector;
    this.patienceMillis = patienceMillis;
    this.free = new Semaphore(size, true);
  }

  @Override
  public Session take() throws SQLException {
    acquire();
    Session session = idle.poll();
    if (session != null) {
      return session;
    }
    boolean opened = false;
    try {
      session = connector.connect();
      opened = true;
      return session;
    } finally {
      if (!opened) {
        free.release();
      }
    }
  }

  private void acquire() throws SQLException {
    long begin = System.nanoTime();
    try {
      while (!free.tryAcquire(100, TimeUnit.MILLISECONDS)) {
        if (closed) {
          throw new SQLException("the database is closed");
        }
        if (TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin) >= patienceMillis) {
          throw new SQLTransientConnectionException("all connections are in use");
        }
      }
    } catch (InterruptedException e) {
      throw Lender.givenUp(e);
    }
    if (closed) {
      free.release();
      throw new SQLException("the database is closed");
    }
  }

  @Override
  public void giveBack(Session session) {
    idle.push(session);
    free.release();
    if (closed) {
      closeIdle();
    }
  }

  @Override
  public void discard(Session session, boolean others) {
    close(session);
    if (others) {
      closeIdle();
    }
    free.release();
  }

  private void closeIdle() {
    for (Session session = idle.poll(); session != null; session = idle.poll()) {
      close(session);
    }
  }

  private static void close(Session session) {
    try {
      session.close();
    } catch (SQLException e) {
      LOG.debug("closing a connection: {}", e.getMessage());
    }
  }

  @Override
  public int opened() {
    return lent() + idle.size();
  }

  @Override
  public int lent() {
    return size - free.availablePermits();
  }

  @Override
  public int awaited() {
    return free.getQueueLength();
  }

  @Override
  public void close() {
    closed = true;
    closeIdle();
  }
}
