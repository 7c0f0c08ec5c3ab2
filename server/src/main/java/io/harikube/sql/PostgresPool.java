package io.harikube.sql;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.postgresql.jdbc.PgConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** PostgreSQL's connections for reading. */
final class PostgresPool implements Lender {
  private static final Logger LOG = LoggerFactory.getLogger(PostgresPool.class);

  /** How long a host may take to answer. */
  private static final int CONNECT_SECONDS = 3;

  /** How long who reads waits for a connection; health checks that wait as well have 5 s. */
  private static final int WAIT_MILLIS = 3_000;

  private static final long EVICTION_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final PostgresConnector connector;
  private final PostgresWatch watch;
  private final SqlOptions options;
  private final AtomicLong lastEviction = new AtomicLong(System.nanoTime() - EVICTION_NANOS);
  private volatile @Nullable HikariDataSource pool;

  PostgresPool(PostgresConnector connector, PostgresWatch watch, SqlOptions options) {
    this.connector = connector;
    this.watch = watch;
    this.options = options;
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
    config.setDataSource(new PostgresSource(() -> connector.open(CONNECT_SECONDS)));
    config.setMaximumPoolSize(options.readers());
    if (options.pool().idle() < options.readers()) {
      config.setMinimumIdle(options.pool().idle());
      config.setIdleTimeout(options.pool().idleTime().toMillis());
    }
    config.setMaxLifetime(options.pool().lifetime().toMillis());
    config.setConnectionTimeout(WAIT_MILLIS);
    config.setValidationTimeout(1_000);
    config.setInitializationFailTimeout(-1);
    return new HikariDataSource(config);
  }

  @Override
  public Session take() throws SQLException {
    Connection connection = pool().getConnection();
    watch.busy(connection);
    return new Session(connection);
  }

  @Override
  public void giveBack(Session session) {
    try {
      watch.idle(session.connection());
      session.close();
    } catch (SQLException e) {
      LOG.debug("giving a connection back: {}", e.getMessage());
    }
  }

  @Override
  public void discard(Session session, boolean others) {
    Connection connection = session.connection();
    try {
      watch.idle(connection);
      // To say goodbye could take as long as the answer that did not come.
      connection.unwrap(PgConnection.class).abort(Runnable::run);
    } catch (SQLException e) {
      LOG.debug("cutting a connection: {}", e.getMessage());
    }
    pool().evictConnection(connection);
    long now = System.nanoTime();
    long last = lastEviction.get();
    // Those that were opened since the last time are new.
    if (others && now - last >= EVICTION_NANOS && lastEviction.compareAndSet(last, now)) {
      pool().getHikariPoolMXBean().softEvictConnections();
    }
  }

  @Override
  public synchronized void close() {
    HikariDataSource current = pool;
    if (current != null) {
      current.close();
    }
  }
}
