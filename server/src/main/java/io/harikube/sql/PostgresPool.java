package io.harikube.sql;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.postgresql.jdbc.PgConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** PostgreSQL's connections for reading. */
final class PostgresPool implements Lender {
  private static final Logger LOG = LoggerFactory.getLogger(PostgresPool.class);

  /** How long a host may take to answer, and how long the database may be away. */
  private static final int CONNECT_SECONDS = 3;

  private static final long CONNECT_NANOS = TimeUnit.SECONDS.toNanos(CONNECT_SECONDS);

  /** For so long after a loss one that was just being opened then may be dead as well. */
  private static final long DOUBT_NANOS = TimeUnit.SECONDS.toNanos(2);

  private final PostgresConnector connector;
  private final PostgresWatch watch;
  private final SqlOptions options;
  private final Semaphore free;
  private volatile @Nullable HikariDataSource pool;

  /** Why there was no connection the last time; null if there was one. */
  private volatile @Nullable SQLException unreachable;

  /** How often all connections have been given up, and how often when each was lent. */
  private final AtomicLong generation = new AtomicLong();

  /** When a connection was lost the last time. */
  private volatile long lost = System.nanoTime() - DOUBT_NANOS;

  private final Map<Session, Long> lent = new ConcurrentHashMap<>();

  PostgresPool(PostgresConnector connector, PostgresWatch watch, SqlOptions options) {
    this.connector = connector;
    this.watch = watch;
    this.options = options;
    this.free = new Semaphore(options.readers(), true);
  }

  private HikariDataSource pool() {
    HikariDataSource current = pool;
    if (current == null) {
      synchronized (this) {
        current = pool;
        if (current == null) {
          current = open();
          pool = current;
        }
      }
    }
    return current;
  }

  private HikariDataSource open() {
    HikariConfig config = new HikariConfig();
    config.setPoolName("readers");
    config.setDataSource(
        new PostgresSource(() -> connector.open(CONNECT_SECONDS), CONNECT_SECONDS));
    config.setMaximumPoolSize(options.readers());
    if (options.pool().idle() < options.readers()) {
      config.setMinimumIdle(options.pool().idle());
      config.setIdleTimeout(options.pool().idleTime().toMillis());
    }
    config.setMaxLifetime(options.pool().lifetime().toMillis());
    config.setConnectionTimeout(TimeUnit.SECONDS.toMillis(CONNECT_SECONDS));
    config.setValidationTimeout(1_000);
    config.setInitializationFailTimeout(-1);
    return new HikariDataSource(config);
  }

  /** Whoever waits because others read waits; whoever waits for the database not for long. */
  @Override
  public Session take() throws SQLException {
    acquire();
    boolean taken = false;
    try {
      Session session = connected();
      unreachable = null;
      taken = true;
      return session;
    } catch (SQLException e) {
      throw unreachable(e);
    } finally {
      if (!taken) {
        free.release();
      }
    }
  }

  private SQLException unreachable(SQLException e) {
    SQLException reason = reason(e);
    SQLException before = unreachable;
    if (!Thread.currentThread().isInterrupted()) {
      unreachable = reason;
      if (before == null || !String.valueOf(reason.getMessage()).equals(before.getMessage())) {
        LOG.warn("there is no connection for reading: {}", reason.getMessage());
      }
    }
    return reason;
  }

  private void acquire() throws SQLException {
    long begin = System.nanoTime();
    try {
      while (!free.tryAcquire(100, TimeUnit.MILLISECONDS)) {
        SQLException reason = unreachable;
        if (reason != null && System.nanoTime() - begin > CONNECT_NANOS) {
          throw new SQLTransientConnectionException(reason.getMessage(), "08001", reason);
        }
      }
    } catch (InterruptedException e) {
      throw Lender.givenUp(e);
    }
  }

  private Session connected() throws SQLException {
    while (true) {
      Session session = new Session(pool().getConnection(), ManyValues.Array::new);
      watch.busy(session.connection());
      if (System.nanoTime() - lost > DOUBT_NANOS || session.connection().isValid(1)) {
        lent.put(session, generation.get());
        return session;
      }
      cut(session);
    }
  }

  /** What the pool says hides what the database has said. */
  private static SQLException reason(SQLException e) {
    Throwable cause = e.getCause() == null ? e : e.getCause();
    return new SQLTransientConnectionException(
        "the database cannot be reached: " + cause.getMessage(), "08001", cause);
  }

  @Override
  public void giveBack(Session session) {
    lent.remove(session);
    try {
      watch.idle(session.connection());
      session.close();
    } catch (SQLException e) {
      LOG.debug("giving a connection back: {}", e.getMessage());
    }
    free.release();
  }

  @Override
  public void discard(Session session, boolean others) {
    Long since = lent.remove(session);
    cut(session);
    if (others) {
      lost = System.nanoTime();
      // Of many that are lost at once only one gives up all: what is opened after that is new.
      if (since != null && generation.compareAndSet(since, since + 1)) {
        pool().getHikariPoolMXBean().softEvictConnections();
      }
    }
    free.release();
  }

  private void cut(Session session) {
    Connection connection = session.connection();
    try {
      watch.idle(connection);
      // To say goodbye could take as long as the answer that did not come.
      connection.unwrap(PgConnection.class).abort(Runnable::run);
    } catch (SQLException e) {
      LOG.debug("cutting a connection: {}", e.getMessage());
    }
    pool().evictConnection(connection);
  }

  @Override
  public int opened() {
    HikariDataSource current = pool;
    return current == null ? 0 : current.getHikariPoolMXBean().getTotalConnections();
  }

  @Override
  public int lent() {
    return lent.size();
  }

  @Override
  public int awaited() {
    return free.getQueueLength();
  }

  @Override
  public synchronized void close() {
    HikariDataSource current = pool;
    if (current != null) {
      current.close();
    }
  }
}
