package io.harikube.sql;

import java.sql.SQLException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A fixed number of read-only connections, opened when first needed. Whoever reads takes one and
 * waits while none is free; the calls into SQLite hold on to the thread that makes them.
 */
final class SqliteReaders implements Readers {

  /** Opens a connection. */
  interface Connector {
    Session connect() throws SQLException;
  }

  private final int size;
  private final Connector connector;
  private final ArrayBlockingQueue<Session> idle;
  private final AtomicInteger opened = new AtomicInteger();
  private volatile boolean closed;

  SqliteReaders(int size, Connector connector) {
    this.size = size;
    this.connector = connector;
    this.idle = new ArrayBlockingQueue<>(size);
  }

  @Override
  public <T extends @Nullable Object> T single(Work<T> work) throws SQLException {
    Session session = take();
    try {
      return work.run(session);
    } finally {
      put(session);
    }
  }

  @Override
  public <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException {
    return single(
        session -> {
          session.execute("BEGIN");
          try {
            return work.run(session, Meta.read(session));
          } finally {
            session.execute("COMMIT");
          }
        });
  }

  private Session take() throws SQLException {
    Session session = idle.poll();
    if (session == null && opened.get() < size && opened.getAndIncrement() < size) {
      try {
        session = connector.connect();
      } catch (SQLException e) {
        opened.decrementAndGet();
        throw e;
      }
    }
    try {
      while (session == null) {
        if (closed) {
          throw new SQLException("the database is closed");
        }
        session = idle.poll(100, TimeUnit.MILLISECONDS);
      }
      return session;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new SQLException("the request was given up", e);
    }
  }

  private void put(Session session) throws SQLException {
    idle.add(session);
    if (closed) {
      close();
    }
  }

  @Override
  public void close() {
    closed = true;
    for (Session session = idle.poll(); session != null; session = idle.poll()) {
      try {
        session.close();
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
