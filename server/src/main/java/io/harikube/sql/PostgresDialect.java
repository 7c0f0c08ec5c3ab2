package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.StoreMetrics;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * PostgreSQL: every batch is a handful of statements over arrays, whatever its size. Needs neither
 * a superuser nor an extension.
 */
final class PostgresDialect implements Dialect {
  private static final String FETCH =
      """
      SELECT v.key, v.id, v.create_revision, v.version, v.lease,
        (SELECT CASE WHEN octet_length(l.value) <= ? THEN l.value END FROM log l WHERE l.id = v.id)
      FROM live v WHERE v.key = ANY (?)""";
  private static final String FETCH_ATTRIBUTES =
      "SELECT key, name, value, from_id FROM attribute WHERE key = ANY (?)";

  /**
   * Which names some key has. The order of the values is what only the index by names and values
   * has: a planner who knows that most keys have one of few names would search the one by keys,
   * which for a name that nobody has is all of it.
   */
  static final String PRESENT =
      """
      SELECT n.name FROM unnest(?) n (name) CROSS JOIN LATERAL (
        SELECT 1 FROM attribute a WHERE a.name = n.name ORDER BY a.value LIMIT 1) one""";

  /** The same with some values, as bounds for the same reason. */
  static final String PRESENT_WITH =
      """
      SELECT n.name FROM unnest(?) n (name) CROSS JOIN unnest(?) v (value)
      CROSS JOIN LATERAL (
        SELECT 1 FROM attribute a
        WHERE a.name = n.name AND a.value >= v.value AND a.value <= v.value
        ORDER BY a.value LIMIT 1) one""";

  /** Divides by zero, so that nothing is committed, if the epoch is another one. */
  private static final String UPDATE_META = Meta.UPDATE + ", epoch = epoch / (epoch = ?)::int";

  private static final String DIVISION_BY_ZERO = "22012";

  /** How long a host may take to answer to the writer. */
  static final int CONNECT_SECONDS = 5;

  private final Endpoint.Postgres endpoint;
  private final Admission admission;
  private final PostgresConnector connector;
  private final PostgresWatch watch;
  private final CheckedReaders readers;
  private final CheckedReaders probes;
  private final CheckedReaders pointReaders;
  private final Points points;

  /** The process that worked for the writer's last connection. */
  private PostgresConnector.@Nullable Backend writer;

  PostgresDialect(SqlOptions options, StoreMetrics metrics) {
    this.endpoint = (Endpoint.Postgres) options.endpoint();
    this.admission = options.admission();
    this.connector = new PostgresConnector(endpoint);
    this.watch = new PostgresWatch(connector);
    Lender pool = new PostgresPool(connector, watch, options);
    int forPoints = PostgresPoints.connections(options.readers());
    Lender others = forPoints == 0 ? pool : new BoundedLender(pool, options.readers() - forPoints);
    Lender.report(metrics, List.of(others));
    this.readers = new CheckedReaders(others, this, Duration.ofSeconds(2));
    this.pointReaders = new CheckedReaders(pool, this, Duration.ofSeconds(2));
    this.probes =
        new CheckedReaders(
            new SessionPool(1, 2_000, this::connectProbe), this, Duration.ofSeconds(1));
    this.points =
        new Points(
            pointReaders,
            Math.max(1, forPoints),
            PostgresPoints.MOST_KEYS,
            PostgresPoints::read,
            this::failure);
  }

  /** With an answer soon or none. */
  private Session connectProbe() throws SQLException {
    Connection connection = connector.open(1);
    connection.setNetworkTimeout(Runnable::run, 2_000);
    return new Session(connection, ManyValues.Array::new);
  }

  @Override
  public void prepare() throws OpenException {
    new PostgresStart(this, endpoint, connector, admission).prepare();
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
  public List<String> tables(Session session) throws SQLException {
    return PostgresStart.tables(session);
  }

  @Override
  public List<String> taskSchema() {
    return Schema.taskStatements("bytea", "bigint");
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
    Session session = new Session(connector.open(CONNECT_SECONDS), ManyValues.Array::new);
    boolean ready = false;
    try {
      writer = PostgresConnector.Backend.follow(session, writer);
      session.connection().setAutoCommit(false);
      ready = true;
      return session;
    } finally {
      if (!ready) {
        session.close();
      }
    }
  }

  /** The driver begins a transaction with its first statement. */
  @Override
  public void begin(Session session) throws SQLException {
    watch.busy(session.connection());
  }

  @Override
  public void commit(Session session) throws SQLException {
    try {
      session.connection().commit();
    } finally {
      watch.idle(session.connection());
    }
  }

  @Override
  public void rollback(Session session) throws SQLException {
    watch.busy(session.connection());
    try {
      session.connection().rollback();
    } finally {
      watch.idle(session.connection());
    }
  }

  @Override
  public void floor(Supplier<Meta> acknowledged) {
    readers.floor(acknowledged);
    pointReaders.floor(acknowledged);
    probes.floor(acknowledged);
  }

  @Override
  public Readers probes() {
    return probes;
  }

  @Override
  public Meta beginSnapshot(Session session) throws SQLException {
    return PostgresSnapshots.begin(session);
  }

  @Override
  public void endSnapshot(Session session, boolean failed) throws SQLException {
    PostgresSnapshots.end(session, failed);
  }

  @Override
  public Readers readers() {
    return readers;
  }

  @Override
  public CompletableFuture<@Nullable Point> point(Bytes key) {
    return points.read(key);
  }

  @Override
  public void fetch(
      Session session,
      Collection<Bytes> keys,
      long maxBytes,
      Map<Bytes, @Nullable Head> known,
      @Nullable AttributeChanges attributes)
      throws SQLException {
    keys.forEach(key -> known.put(key, null));
    Array wanted = PostgresChanges.bytes(session, keys, Bytes::array);
    // The driver has all rows in memory before the first can be looked at.
    long share = maxBytes / Math.max(1, keys.size());
    Pipeline pipeline = new Pipeline().add(FETCH, share, wanted);
    if (attributes != null) {
      pipeline.add(FETCH_ATTRIBUTES, wanted);
    }
    PreparedStatement answers = pipeline.send(session);
    try (ResultSet rows = answers.getResultSet()) {
      while (rows.next()) {
        Bytes key = Rows.bytes(rows, 1);
        known.put(key, Head.read(key, rows, 2));
      }
    }
    if (attributes != null) {
      answers.getMoreResults();
      Map<Bytes, Map<AttributeName, AttributeChanges.Held>> found = new HashMap<>();
      keys.forEach(key -> found.put(key, new HashMap<>()));
      try (ResultSet rows = answers.getResultSet()) {
        while (rows.next()) {
          found
              .computeIfAbsent(Rows.bytes(rows, 1), _ -> new HashMap<>())
              .put(
                  Rows.name(rows, 2),
                  new AttributeChanges.Held(Rows.text(rows, 3), rows.getLong(4)));
        }
      }
      found.forEach(attributes::loaded);
    }
  }

  @Override
  public Set<AttributeName> present(
      Session session, Collection<AttributeName> names, List<String> values) throws SQLException {
    PreparedStatement select = session.prepare(values.isEmpty() ? PRESENT : PRESENT_WITH);
    session.many(names.stream().map(Rows::bytes).toList()).bind(select, 1);
    if (!values.isEmpty()) {
      session.many(values.stream().map(Rows::bytes).toList()).bind(select, 2);
    }
    Set<AttributeName> present = new HashSet<>();
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        present.add(Rows.name(rows, 1));
      }
    }
    return present;
  }

  @Override
  public void write(Session session, Changes changes) throws SQLException {
    Pipeline pipeline = new Pipeline();
    PostgresChanges.add(session, changes, pipeline);
    pipeline.send(session);
  }

  /** One round trip: the epoch is looked at in the database, which refuses the rest. */
  @Override
  public boolean commit(Session session, Changes changes, Meta meta, Runnable committing)
      throws SQLException {
    List<Object> parameters = new ArrayList<>(meta.changing());
    parameters.add(meta.epoch());
    // First of all: what another writer has written would be in the way of the changes.
    Pipeline pipeline = new Pipeline();
    if (PostgresConnector.isPooled(session.connection())) {
      pipeline.add(PostgresConnector.TRANSACTION_SETTINGS);
    }
    pipeline.add(UPDATE_META, parameters.toArray());
    PostgresChanges.add(session, changes, pipeline);
    pipeline.add("COMMIT");
    committing.run();
    try {
      pipeline.send(session);
      return true;
    } catch (SQLException e) {
      if (DIVISION_BY_ZERO.equals(e.getSQLState())) {
        return false;
      }
      throw e;
    } finally {
      watch.idle(session.connection());
    }
  }

  /** In one round trip with the end of the transaction. */
  @Override
  public boolean stillOurs(Session session, long epoch) throws SQLException {
    PreparedStatement answers = new Pipeline().add(Epochs.SELECT).add("ROLLBACK").send(session);
    try (ResultSet rows = answers.getResultSet()) {
      return rows.next() && rows.getLong(1) == epoch;
    }
  }

  /** A lock of the session; behind a pooler the session is nobody's. */
  @Override
  public void showLife(Session session, long writer) throws SQLException {
    if (!PostgresConnector.isPooled(session.connection())) {
      lock(session, "SELECT pg_advisory_lock_shared(?) IS NULL", writer);
    }
  }

  @Override
  public boolean lives(Session session, long writer) throws SQLException {
    if (PostgresConnector.isPooled(session.connection())) {
      return false;
    }
    boolean free = lock(session, "SELECT pg_try_advisory_lock(?)", writer);
    return !free || !lock(session, "SELECT pg_advisory_unlock(?)", writer);
  }

  private static boolean lock(Session session, String sql, long writer) throws SQLException {
    PreparedStatement select = session.prepare(sql);
    select.setLong(1, writer);
    try (ResultSet rows = select.executeQuery()) {
      return rows.next() && rows.getBoolean(1);
    }
  }

  @Override
  public boolean isShared() {
    return true;
  }

  @Override
  public int delete(Session session, List<Long> ids) throws SQLException {
    if (ids.isEmpty()) {
      return 0;
    }
    PreparedStatement delete = session.prepare("DELETE FROM log WHERE id = ANY (?)");
    delete.setArray(1, PostgresChanges.longs(session, ids, Long::longValue));
    return delete.executeUpdate();
  }

  @Override
  public Failure failure(SQLException e) {
    return Failure.postgres(e);
  }

  @Override
  public boolean goesOn(SQLException e) {
    return failure(e) == Failure.REFUSED;
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
                  to_regclass('attribute_past'), to_regclass('task'))""")
            .executeQuery()) {
      rows.next();
      return new long[] {rows.getLong(1), rows.getLong(2)};
    }
  }

  @Override
  public void afterCommit(Session session) {}

  /** PostgreSQL's autovacuum does this. */
  @Override
  public boolean vacuumStep(Session session) {
    return false;
  }

  @Override
  public void defragment(Session session) throws SQLException {
    rollback(session);
    Connection connection = session.connection();
    connection.setAutoCommit(true);
    watch.busy(connection);
    try (Statement statement = connection.createStatement()) {
      statement.execute("VACUUM (ANALYZE) log, live, lease, attribute, attribute_past, task");
    } finally {
      watch.idle(connection);
      connection.setAutoCommit(false);
    }
  }

  @Override
  public void close() {
    points.close();
    watch.close();
    probes.close();
    readers.close();
  }
}
