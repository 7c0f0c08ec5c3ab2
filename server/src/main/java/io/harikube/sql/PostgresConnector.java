package io.harikube.sql;

import java.io.IOException;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Opens connections to the primary of an endpoint's hosts, all with the same settings: behind a
 * pooler that hands out a connection for each transaction, what one sets another one finds.
 *
 * <p>Whether a host is the primary is asked here. pgjdbc takes a primary whose transactions are
 * read-only by default for a standby.
 */
final class PostgresConnector {
  private static final Logger LOG = LoggerFactory.getLogger(PostgresConnector.class);
  private static final String STANDBY = "25006";

  /**
   * How statements are planned, whatever the server's defaults are.
   *
   * <p>No table is read as a whole. The planner, whose statistics of a young store say that its
   * tables are empty, would do so, and keep doing so. Nor is a range collected to be sorted, or a
   * table to be joined: an index has them in order, and a page is as far as one looks. What is
   * turned off has so high a price that a server with LLVM would compile each such statement.
   */
  private static final List<String> PLANS =
      Stream.concat(
              Stream.of("seqscan", "bitmapscan", "hashjoin", "mergejoin")
                  .map(plan -> "'enable_" + plan + "', 'off'"),
              Stream.of(
                  "'enable_indexscan', 'on'",
                  "'enable_indexonlyscan', 'on'",
                  "'enable_nestloop', 'on'",
                  "'enable_sort', 'on'",
                  "'plan_cache_mode', 'auto'",
                  "'jit', 'off'"))
          .toList();

  /**
   * What an acknowledged commit and the look at the epoch rely on. remote_apply is more than on,
   * and stays.
   */
  private static final List<String> COMMITS =
      List.of(
          "'default_transaction_isolation', 'read committed'",
          "'synchronous_commit', CASE current_setting('synchronous_commit')"
              + " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END");

  /** Sets for a session how its statements are planned. */
  static final String SESSION_PLANS = "SELECT " + set(PLANS, false);

  /** The same and what commits need, until the end of the transaction. */
  static final String TRANSACTION_SETTINGS =
      "SELECT " + set(PLANS, true) + ", " + set(COMMITS.subList(1, 2), true);

  private static final String SET_UP =
      "SELECT pg_backend_pid(), pg_is_in_recovery(), "
          + set(PLANS, false)
          + ", "
          + set(COMMITS, false);

  private final Endpoint.Postgres endpoint;

  /** The host that was the primary the last time. */
  private volatile int preferred;

  PostgresConnector(Endpoint.Postgres endpoint) {
    this.endpoint = endpoint;
  }

  private static String set(List<String> settings, boolean local) {
    return settings.stream()
        .map(setting -> "set_config(" + setting + ", " + local + ")")
        .collect(Collectors.joining(", "));
  }

  /**
   * Opens a connection.
   *
   * @param seconds how long each host may take to answer
   */
  Connection open(int seconds) throws SQLException {
    return open(endpoint.url(), seconds);
  }

  /** The same to a URL with the hosts of the endpoint. */
  Connection open(String url, int seconds) throws SQLException {
    Properties properties = properties(seconds);
    boolean any = "any".equals(properties.remove("targetServerType"));
    List<String> urls = urls(url);
    List<Integer> order = order(urls.size());
    SQLException failure = null;
    for (int host : order) {
      try {
        Connection connection = open(urls.get(host), properties, any);
        preferred = host;
        return connection;
      } catch (SQLException e) {
        // Why the primary cannot be used says more than that another one is a standby.
        if (failure == null || STANDBY.equals(failure.getSQLState())) {
          failure = e;
        }
      }
    }
    throw failure == null ? new SQLException("the endpoint names no host") : failure;
  }

  private Connection open(String url, Properties properties, boolean any) throws SQLException {
    Connection connection = DriverManager.getConnection(url, properties);
    boolean ready = false;
    try {
      setUp(connection, any);
      connection.setNetworkTimeout(Runnable::run, silenceMillis(connection));
      ready = true;
      return connection;
    } finally {
      if (!ready) {
        connection.close();
      }
    }
  }

  private void setUp(Connection connection, boolean any) throws SQLException {
    PGConnection postgres = connection.unwrap(PGConnection.class);
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(SET_UP)) {
      rows.next();
      if (!any && rows.getBoolean(2)) {
        throw new SQLException("the PostgreSQL server is a standby, not the primary", STANDBY);
      }
      // The process is another one than the protocol has named: a pooler is in between.
      if (rows.getInt(1) != postgres.getBackendPID()
          && !endpoint.properties().containsKey("prepareThreshold")) {
        postgres.setPrepareThreshold(0);
      }
    }
  }

  /**
   * Whether each transaction may be on another connection of a pooler: nothing that is set for a
   * session can be relied upon, and nobody can say which process works for the connection.
   */
  static boolean isPooled(Connection connection) throws SQLException {
    return connection.unwrap(PGConnection.class).getPrepareThreshold() == 0;
  }

  /**
   * How long an answer may take at the most. A direct connection is looked after by {@link
   * PostgresWatch}, which tells a long statement from a dead connection.
   */
  private int silenceMillis(Connection connection) throws SQLException {
    String configured = endpoint.properties().getProperty("socketTimeout");
    if (configured != null) {
      return Integer.parseInt(configured) * 1000;
    }
    return isPooled(connection) ? 60_000 : 0;
  }

  private Properties properties(int seconds) throws SQLException {
    Properties properties = new Properties();
    properties.putAll(endpoint.properties());
    properties.putIfAbsent("connectTimeout", Integer.toString(seconds));
    properties.putIfAbsent("tcpKeepAlive", "true");
    // Until the connection stands.
    properties.setProperty("socketTimeout", Integer.toString(seconds));
    Path file = endpoint.passwordFile();
    if (file != null) {
      properties.setProperty("password", password(file));
    }
    return properties;
  }

  /** Reads the file each time: a rotated password needs no restart. */
  private static String password(Path file) throws SQLException {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      throw new SQLException("the password file " + file + " cannot be read", "28000", e);
    }
  }

  /** One URL for each of the hosts. */
  private static List<String> urls(String url) {
    int begin = url.indexOf("//") + 2;
    int end = url.lastIndexOf('/');
    return Stream.of(url.substring(begin, end).split(","))
        .map(host -> url.substring(0, begin) + host + url.substring(end))
        .toList();
  }

  /** The one that was the primary, and then the others in their order, or in any. */
  private List<Integer> order(int hosts) {
    List<Integer> order = new ArrayList<>();
    for (int host = 0; host < hosts; host++) {
      order.add(host);
    }
    if ("true".equals(endpoint.properties().getProperty("loadBalanceHosts"))) {
      Collections.shuffle(order);
    }
    Integer first = preferred;
    order.remove(/* element */ first);
    order.addFirst(first);
    return order;
  }

  /** Whether {@code e} says that there is no connection, or that there can be none now. */
  static boolean isLost(SQLException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SocketException || cause instanceof SQLTransientConnectionException) {
        return true;
      }
      if (cause instanceof SQLException sql && sql.getSQLState() != null) {
        String state = sql.getSQLState();
        // 08: connection; 57P01 to 57P03: the server is stopping, has crashed, is starting; 53300:
        // too many.
        if (state.startsWith("08") || state.startsWith("57P0") || state.equals("53300")) {
          return true;
        }
      }
    }
    return false;
  }

  /** The same, or that no host is the primary. */
  static boolean isAway(SQLException e) {
    return isLost(e) || STANDBY.equals(e.getSQLState());
  }

  /** A process of the server, unlike any that it had before. */
  record Backend(int pid, String begin) {

    /**
     * The one that works for {@code session}; ends the one before, if it is still there: what that
     * has left open in the database would hold the new one up.
     */
    static @Nullable Backend follow(Session session, @Nullable Backend before) throws SQLException {
      if (before != null) {
        before.end(session);
      }
      if (isPooled(session.connection())) {
        return null;
      }
      try (Statement statement = session.connection().createStatement();
          ResultSet rows =
              statement.executeQuery(
                  "SELECT pid, backend_start::text FROM pg_stat_activity"
                      + " WHERE pid = pg_backend_pid()")) {
        return rows.next() ? new Backend(rows.getInt(1), rows.getString(2)) : null;
      }
    }

    private void end(Session session) {
      try (PreparedStatement end =
          session
              .connection()
              .prepareStatement(
                  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      + " WHERE pid = ? AND backend_start::text = ?")) {
        end.setInt(1, pid);
        end.setString(2, begin);
        end.executeQuery().close();
      } catch (SQLException e) {
        LOG.debug("the process of the connection before is not ended: {}", e.getMessage());
      }
    }
  }
}
