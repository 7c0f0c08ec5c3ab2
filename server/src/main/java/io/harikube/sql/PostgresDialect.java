package io.harikube.sql;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Properties;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * PostgreSQL: every batch is a handful of statements over arrays, whatever its size. Needs neither
 * a superuser nor an extension.
 */
final class PostgresDialect implements Dialect {
  private static final String FETCH =
      """
      SELECT v.key, v.id, v.create_revision, v.version, v.lease,
        (SELECT l.value FROM log l WHERE l.id = v.id)
      FROM live v WHERE v.key = ANY (?)""";
  private static final String INSERT_LOG =
      """
      INSERT INTO log (id, key, prev, create_revision, version, lease, value)
      SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?)""";
  private static final String UPSERT_LIVE =
      """
      INSERT INTO live (key, id, create_revision, version, lease) SELECT * FROM unnest(?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET id = excluded.id, create_revision = excluded.create_revision,
        version = excluded.version, lease = excluded.lease""";

  /**
   * No table is read as a whole. The planner, whose statistics of a young store say that its tables
   * are empty, would do so, and keep doing so. Nor is a range collected to be sorted, or a table to
   * be joined: an index has them in order, and a page is as far as one looks.
   */
  static final String PLANS =
      Stream.of("seqscan", "bitmapscan", "hashjoin", "mergejoin")
          .map(plan -> "set_config('enable_" + plan + "', 'off', false)")
          .collect(Collectors.joining(", ", "SELECT ", ""));

  private final Endpoint.Postgres endpoint;
  private final PostgresReaders readers;
  private final SharedPoints points;

  PostgresDialect(SqlOptions options) {
    this.endpoint = (Endpoint.Postgres) options.endpoint();
    this.readers = new PostgresReaders(endpoint, options);
    this.points = new SharedPoints(readers);
  }

  @Override
  public void prepare() throws OpenException {
    try (Connection _ = connect(endpoint.url())) {
      return;
    } catch (SQLException e) {
      if (!"3D000".equals(e.getSQLState())) {
        throw new OpenException("cannot connect to " + endpoint + ": " + e.getMessage(), e);
      }
    }
    try (Connection connection = connect(endpoint.urlOf("postgres"));
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE DATABASE \"" + endpoint.database().replace("\"", "\"\"") + '"');
    } catch (SQLException e) {
      if (!"42P04".equals(e.getSQLState())) {
        throw new OpenException(
            "cannot create the database "
                + endpoint.database()
                + " at "
                + endpoint
                + ": "
                + e.getMessage(),
            e);
      }
    }
  }

  private Connection connect(String url) throws SQLException {
    return DriverManager.getConnection(url, endpoint.properties());
  }

  @Override
  public List<String> schema() {
    return Schema.statements("bytea", "bigint", "");
  }

  @Override
  public List<String> attributeSchema() {
    return Schema.attributeStatements("bytea", "bigint", "");
  }

  @Override
  public boolean hasSchema(Session session) throws SQLException {
    // Two servers that start on an empty database make its schema one after the other.
    session.execute("SELECT pg_advisory_xact_lock(4923517)");
    try (ResultSet rows =
        session.prepare("SELECT to_regclass('meta') IS NOT NULL").executeQuery()) {
      rows.next();
      return rows.getBoolean(1);
    }
  }

  @Override
  public Session connectWriter() throws SQLException {
    Properties properties = new Properties();
    properties.putAll(endpoint.properties());
    properties.putIfAbsent("socketTimeout", "60");
    properties.putIfAbsent("connectTimeout", "5");
    properties.putIfAbsent("tcpKeepAlive", "true");
    Connection connection = DriverManager.getConnection(endpoint.url(), properties);
    Session session = new Session(connection);
    session.execute("SET synchronous_commit = on");
    session.execute(PLANS);
    connection.setAutoCommit(false);
    return session;
  }

  /** The driver begins a transaction with its first statement. */
  @Override
  public void begin(Session session) {}

  @Override
  public void commit(Session session) throws SQLException {
    session.connection().commit();
  }

  @Override
  public void rollback(Session session) throws SQLException {
    session.connection().rollback();
  }

  @Override
  public Readers readers() {
    return readers;
  }

  @Override
  public Point point(Bytes key) throws SQLException {
    Point point = points.read(key);
    return point == null ? Dialect.super.point(key) : point;
  }

  @Override
  public void fetch(Session session, Collection<Bytes> keys, Map<Bytes, @Nullable Head> known)
      throws SQLException {
    keys.forEach(key -> known.put(key, null));
    PreparedStatement select = session.prepare(FETCH);
    select.setArray(1, bytes(session, keys, Bytes::array));
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        KeyValue kv = Rows.keyValue(rows, 1);
        known.put(kv.key(), new Head(rows.getLong(2), kv));
      }
    }
  }

  @Override
  public void write(Session session, List<LogRow> log, Collection<LogRow> live)
      throws SQLException {
    Connection connection = session.connection();
    PreparedStatement insert = session.prepare(INSERT_LOG);
    insert.setArray(1, longs(session, log, LogRow::id));
    insert.setArray(2, bytes(session, log, row -> row.kv().key().array()));
    insert.setArray(3, longs(session, log, LogRow::prev));
    insert.setArray(4, longs(session, log, LogRow::created));
    insert.setArray(5, longs(session, log, row -> row.kv().version()));
    insert.setArray(6, longs(session, log, row -> row.kv().lease()));
    byte[] @Nullable [] values = new byte[log.size()] @Nullable [];
    for (int i = 0; i < values.length; i++) {
      KeyValue kv = log.get(i).kv();
      values[i] = kv.version() == 0 ? null : kv.value().array();
    }
    insert.setArray(7, connection.createArrayOf("bytea", values));
    insert.executeUpdate();
    List<LogRow> set = new ArrayList<>();
    List<LogRow> gone = new ArrayList<>();
    for (LogRow row : live) {
      (row.kv().version() == 0 ? gone : set).add(row);
    }
    if (!set.isEmpty()) {
      PreparedStatement upsert = session.prepare(UPSERT_LIVE);
      upsert.setArray(1, bytes(session, set, row -> row.kv().key().array()));
      upsert.setArray(2, longs(session, set, LogRow::id));
      upsert.setArray(3, longs(session, set, row -> row.kv().createRevision()));
      upsert.setArray(4, longs(session, set, row -> row.kv().version()));
      upsert.setArray(5, longs(session, set, row -> row.kv().lease()));
      upsert.executeUpdate();
    }
    if (!gone.isEmpty()) {
      PreparedStatement delete = session.prepare("DELETE FROM live WHERE key = ANY (?)");
      delete.setArray(1, bytes(session, gone, row -> row.kv().key().array()));
      delete.executeUpdate();
    }
  }

  @Override
  public void fetchAttributes(Session session, Collection<Bytes> keys, AttributeChanges into)
      throws SQLException {
    Map<Bytes, Map<String, AttributeChanges.Held>> found = new HashMap<>();
    keys.forEach(key -> found.put(key, new HashMap<>()));
    PreparedStatement select =
        session.prepare("SELECT key, name, value, from_id FROM attribute WHERE key = ANY (?)");
    select.setArray(1, bytes(session, keys, Bytes::array));
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        found
            .computeIfAbsent(Rows.bytes(rows, 1), _ -> new HashMap<>())
            .put(
                Rows.text(rows, 2), new AttributeChanges.Held(Rows.text(rows, 3), rows.getLong(4)));
      }
    }
    found.forEach(into::loaded);
  }

  @Override
  public void writeAttributes(Session session, AttributeChanges changes) throws SQLException {
    List<AttributeChanges.Row> deletions = changes.deletions();
    if (!deletions.isEmpty()) {
      PreparedStatement delete =
          session.prepare(
              """
              DELETE FROM attribute WHERE ctid = ANY (ARRAY(
                SELECT (SELECT a.ctid FROM attribute a
                        WHERE a.key = gone.key AND a.name = gone.name)
                FROM unnest(?, ?) AS gone (key, name)))""");
      delete.setArray(1, bytes(session, deletions, row -> row.key().array()));
      delete.setArray(2, bytes(session, deletions, row -> Rows.bytes(row.name())));
      delete.executeUpdate();
    }
    List<AttributeChanges.Row> upserts = changes.upserts();
    if (!upserts.isEmpty()) {
      PreparedStatement upsert =
          session.prepare(
              """
              INSERT INTO attribute (key, name, value, number, from_id)
              SELECT * FROM unnest(?, ?, ?, ?, ?)
              ON CONFLICT (key, name) DO UPDATE SET value = excluded.value,
                number = excluded.number, from_id = excluded.from_id""");
      bind(session, upsert, upserts);
      upsert.executeUpdate();
    }
    List<AttributeChanges.Past> past = changes.past();
    if (!past.isEmpty()) {
      PreparedStatement insert =
          session.prepare(
              "INSERT INTO attribute_past (key, name, value, number, from_id, to_id)"
                  + " SELECT * FROM unnest(?, ?, ?, ?, ?, ?)");
      bind(
          session,
          insert,
          past.stream()
              .map(row -> new AttributeChanges.Row(row.key(), row.name(), row.held()))
              .toList());
      insert.setArray(6, longs(session, past, AttributeChanges.Past::to));
      insert.executeUpdate();
    }
  }

  private static void bind(
      Session session, PreparedStatement statement, List<AttributeChanges.Row> rows)
      throws SQLException {
    statement.setArray(1, bytes(session, rows, row -> row.key().array()));
    statement.setArray(2, bytes(session, rows, row -> Rows.bytes(row.name())));
    statement.setArray(3, bytes(session, rows, row -> Rows.bytes(row.held().value())));
    @Nullable Long[] numbers = new @Nullable Long[rows.size()];
    for (int i = 0; i < numbers.length; i++) {
      OptionalLong number = Filter.integer(rows.get(i).held().value());
      numbers[i] = number.isPresent() ? (Long) number.getAsLong() : null;
    }
    statement.setArray(4, session.connection().createArrayOf("bigint", numbers));
    statement.setArray(5, longs(session, rows, row -> row.held().from()));
  }

  private static <T> Array bytes(Session session, Collection<T> rows, Function<T, byte[]> column)
      throws SQLException {
    byte[][] values = rows.stream().map(column).toArray(byte[][]::new);
    return session.connection().createArrayOf("bytea", values);
  }

  private static <T> Array longs(Session session, List<T> rows, ToLongFunction<T> column)
      throws SQLException {
    return session
        .connection()
        .unwrap(org.postgresql.PGConnection.class)
        .createArrayOf("bigint", rows.stream().mapToLong(column).toArray());
  }

  @Override
  public int delete(Session session, List<Long> ids) throws SQLException {
    if (ids.isEmpty()) {
      return 0;
    }
    PreparedStatement delete = session.prepare("DELETE FROM log WHERE id = ANY (?)");
    delete.setArray(1, longs(session, ids, Long::longValue));
    return delete.executeUpdate();
  }

  @Override
  public boolean isConnectionLost(SQLException e) {
    return PostgresReaders.isConnectionLost(e);
  }

  @Override
  public long[] size(Session session) throws SQLException {
    try (ResultSet rows =
        session
            .prepare(
                """
                SELECT pg_database_size(current_database()), coalesce(sum(
                  pg_total_relation_size(c.oid)), 0)::bigint
                FROM pg_class c WHERE c.oid IN (to_regclass('log'), to_regclass('live'),
                  to_regclass('lease'), to_regclass('meta'), to_regclass('attribute'),
                  to_regclass('attribute_past'))""")
            .executeQuery()) {
      rows.next();
      return new long[] {rows.getLong(1), rows.getLong(2)};
    }
  }

  @Override
  public void afterCommit(Session session, int changes, long bytes) {}

  /** PostgreSQL's autovacuum does this. */
  @Override
  public boolean vacuumStep(Session session) {
    return false;
  }

  @Override
  public void defragment(Session session) throws SQLException {
    Connection connection = session.connection();
    connection.rollback();
    connection.setAutoCommit(true);
    try (Statement statement = connection.createStatement()) {
      statement.execute("VACUUM (ANALYZE) log, live, lease, attribute, attribute_past");
    } finally {
      connection.setAutoCommit(false);
    }
  }

  @Override
  public void close() {
    readers.close();
  }

  /** The pool's settings for connections that only read. */
  static HikariDataSource pool(Endpoint.Postgres endpoint, SqlOptions options) {
    HikariConfig config = new HikariConfig();
    config.setPoolName("readers");
    config.setJdbcUrl(endpoint.url());
    config.setDataSourceProperties(endpoint.properties());
    config.setMaximumPoolSize(options.readers());
    if (options.pool().idle() < options.readers()) {
      config.setMinimumIdle(options.pool().idle());
      config.setIdleTimeout(options.pool().idleTime().toMillis());
    }
    config.setMaxLifetime(options.pool().lifetime().toMillis());
    config.setConnectionTimeout(10_000);
    config.setInitializationFailTimeout(-1);
    config.setReadOnly(true);
    config.setConnectionInitSql(PLANS);
    config.setTransactionIsolation("TRANSACTION_REPEATABLE_READ");
    return new HikariDataSource(config);
  }
}
