package io.harikube.sql;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.postgresql.jdbc.PgConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds connections that have fallen silent. A statement may take minutes, so no timeout can tell
 * one that takes long from an answer that never comes. But the database can be asked by another
 * connection what it is doing for the first one: if twice the same, and nothing but to wait for its
 * client, or if it does not answer at all, the connection is cut, and whoever waits on it learns
 * that it is lost.
 *
 * <pre>
 *   busy ──4 s──► looked at ──not at work──► suspected ──4 s later the same──► cut
 *                     ▲            at work       │ something else
 *                     └──────────────────────────┘
 * </pre>
 */
final class PostgresWatch implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PostgresWatch.class);
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(4);
  private static final String ACTIVITY =
      """
      SELECT pid, state_change::text,
        state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
      FROM pg_stat_activity WHERE pid = ANY (?)""";

  private final PostgresConnector connector;
  private final Map<PgConnection, Busy> busy = new ConcurrentHashMap<>();
  private @Nullable Thread thread;
  private volatile boolean closed;

  /** A connection that somebody waits on. */
  private static final class Busy {
    final int pid;
    final long since = System.nanoTime();

    /** What the database was doing when it was found not to be at work, and when that was. */
    @Nullable String suspicion;

    long suspected;

    Busy(int pid) {
      this.pid = pid;
    }
  }

  PostgresWatch(PostgresConnector connector) {
    this.connector = connector;
  }

  /** From now on somebody waits for answers on the connection. */
  void busy(Connection connection) throws SQLException {
    if (!PostgresConnector.isPooled(connection)) {
      PgConnection own = connection.unwrap(PgConnection.class);
      busy.put(own, new Busy(own.getBackendPID()));
      start();
    }
  }

  /** Nobody waits on the connection any more. */
  void idle(Connection connection) throws SQLException {
    if (!busy.isEmpty()) {
      busy.remove(connection.unwrap(PgConnection.class));
    }
  }

  private void start() {
    if (thread == null) {
      synchronized (this) {
        if (thread == null && !closed) {
          thread = Thread.ofPlatform().daemon().name("postgres-watch").start(this::run);
        }
      }
    }
  }

  private void run() {
    while (!closed) {
      try {
        TimeUnit.SECONDS.sleep(1);
        look();
      } catch (InterruptedException e) {
        return;
      } catch (RuntimeException | Error e) {
        LOG.error("the watch over connections failed", e);
      }
    }
  }

  private void look() {
    long now = System.nanoTime();
    Map<PgConnection, Busy> waiting = new HashMap<>();
    // Who closes a connection need not say that nobody waits on it any more.
    busy.keySet().removeIf(PostgresWatch::isClosed);
    busy.forEach(
        (connection, work) -> {
          if (now - work.since > PATIENCE_NANOS) {
            waiting.put(connection, work);
          }
        });
    if (!waiting.isEmpty()) {
      Map<Integer, String> idle = idle(waiting.values().stream().map(work -> work.pid).toList());
      waiting.forEach((connection, work) -> judge(connection, work, idle.get(work.pid)));
    }
  }

  private static boolean isClosed(PgConnection connection) {
    try {
      return connection.isClosed();
    } catch (SQLException e) {
      return true;
    }
  }

  private void judge(PgConnection connection, Busy work, @Nullable String suspicion) {
    long now = System.nanoTime();
    if (suspicion == null || !suspicion.equals(work.suspicion)) {
      work.suspicion = suspicion;
      work.suspected = now;
    } else if (now - work.suspected > PATIENCE_NANOS && busy.remove(connection, work)) {
      LOG.warn("a connection to the database has fallen silent and is cut: {}", suspicion);
      try {
        connection.abort(Runnable::run);
      } catch (SQLException e) {
        LOG.debug("cutting a connection: {}", e.getMessage());
      }
    }
  }

  /** Those of the processes that are not at work, with what they do instead. */
  private Map<Integer, String> idle(List<Integer> pids) {
    Map<Integer, String> idle = new HashMap<>();
    try (Connection connection = connector.open(1)) {
      connection.setNetworkTimeout(Runnable::run, 1_000);
      pids.forEach(pid -> idle.put(pid, "the database knows nothing of it"));
      try (PreparedStatement select = connection.prepareStatement(ACTIVITY)) {
        select.setArray(1, connection.createArrayOf("integer", pids.toArray()));
        try (ResultSet rows = select.executeQuery()) {
          while (rows.next()) {
            if (rows.getBoolean(3)) {
              idle.remove(rows.getInt(1));
            } else {
              idle.put(
                  rows.getInt(1), "the database waits for a statement since " + rows.getString(2));
            }
          }
        }
      }
    } catch (SQLException e) {
      idle.clear();
      if (PostgresConnector.isLost(e) && !"53300".equals(e.getSQLState())) {
        pids.forEach(pid -> idle.put(pid, "the database does not answer"));
      }
    }
    return idle;
  }

  @Override
  public synchronized void close() {
    closed = true;
    Thread running = thread;
    if (running != null) {
      running.interrupt();
    }
  }
}
