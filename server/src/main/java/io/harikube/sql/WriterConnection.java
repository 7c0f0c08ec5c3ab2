package io.harikube.sql;

import java.sql.SQLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The connection of the writer, and the one place where its transactions begin and end.
 *
 * <p>A transaction ends in one of three ways: the work has committed it, it is rolled back, or,
 * whenever it is not known what state the connection is in, the connection is closed. So nothing
 * that a transaction has left behind is ever part of another. A new connection may lead to another
 * database: it is {@link Recovery} that opens it.
 *
 * <p>For the writer's thread alone, but {@link #close}.
 */
final class WriterConnection implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(WriterConnection.class);

  /** What is done in a transaction. */
  interface Work<T extends @Nullable Object, X extends Exception> {
    /** Either commits and says so with {@link Transaction#committed}, or leaves it to be undone. */
    T run(Transaction transaction) throws SQLException, X;
  }

  /** A transaction that has begun. */
  static final class Transaction {
    private final Session session;
    private boolean committed;

    private Transaction(Session session) {
      this.session = session;
    }

    Session session() {
      return session;
    }

    /** Nothing is left to be rolled back. */
    void committed() {
      committed = true;
    }
  }

  private final Dialect dialect;
  private @Nullable Session session;

  WriterConnection(Dialect dialect, Session session) {
    this.dialect = dialect;
    this.session = session;
  }

  /**
   * Runs {@code work} in a transaction.
   *
   * @throws IllegalStateException if the connection has been closed
   */
  <T extends @Nullable Object, X extends Exception> T transaction(Work<T, X> work)
      throws SQLException, X {
    Session current = opened();
    Transaction transaction = new Transaction(current);
    boolean goesOn = false;
    try {
      dialect.begin(current);
      T result = work.run(transaction);
      goesOn = true;
      return result;
    } catch (Exception e) {
      goesOn =
          e instanceof SQLException sql
              ? dialect.goesOn(sql)
              : e instanceof Poisoned poisoned && poisoned.clean;
      throw e;
    } finally {
      if (!goesOn || !(transaction.committed || undone(current))) {
        discard();
      }
    }
  }

  /**
   * Uses the connection outside of a transaction.
   *
   * @throws SQLException what went wrong; the connection is closed then
   */
  void maintain(Maintenance work) throws SQLException {
    boolean well = false;
    try {
      work.run(opened());
      well = true;
    } finally {
      if (!well) {
        discard();
      }
    }
  }

  /** The database's own housekeeping. */
  interface Maintenance {
    void run(Session session) throws SQLException;
  }

  private boolean undone(Session current) {
    try {
      dialect.rollback(current);
      return true;
    } catch (SQLException e) {
      LOG.debug("a transaction could not be rolled back: {}", e.getMessage());
      return false;
    }
  }

  private Session opened() {
    Session current = session;
    if (current == null) {
      throw new IllegalStateException("the connection has been closed");
    }
    return current;
  }

  boolean isOpen() {
    return session != null;
  }

  /** Opens another connection in place of the one that there is. */
  void reopen() throws SQLException {
    discard();
    session = dialect.connectWriter();
  }

  private void discard() {
    Session current = session;
    session = null;
    if (current != null) {
      try {
        current.close();
      } catch (SQLException e) {
        LOG.debug("closing a connection: {}", e.getMessage());
      }
    }
  }

  @Override
  public void close() {
    discard();
  }
}
