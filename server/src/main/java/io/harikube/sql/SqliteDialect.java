package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreMetrics;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** SQLite: one file in WAL mode, every commit synced. */
final class SqliteDialect implements Dialect {
  static final String PRESENT = "SELECT 1 FROM attribute WHERE name = ? LIMIT 1";
  static final String PRESENT_WITH = "SELECT 1 FROM attribute WHERE name = ? AND value = ? LIMIT 1";
  private static final String FETCH =
      """
      SELECT v.id, v.create_revision, v.version, v.lease,
        CASE WHEN octet_length(l.value) <= ?1 THEN l.value END
      FROM live v JOIN log l ON l.id = v.id WHERE v.key = ?2""";
  private static final String INSERT_LOG =
      "INSERT INTO log (id, key, prev, create_revision, version, lease, value)"
          + " VALUES (?, ?, ?, ?, ?, ?, ?)";
  private static final String UPSERT_LIVE =
      """
      INSERT INTO live (key, id, create_revision, version, lease) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET id = excluded.id, create_revision = excluded.create_revision,
        version = excluded.version, lease = excluded.lease""";
  private static final String TABLES =
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
          + " ESCAPE '\\' ORDER BY name";
  private static final int VACUUM_PAGES = 256;

  /** How many single keys a thread reads before it answers: to wake others up costs as much. */
  private static final int POINTS_TOGETHER = 8;

  private static final int BUSY_MILLIS = 10_000;
  private static final int PROBE_MILLIS = 2_000;

  private final Admission admission;
  private final SqliteFile file;
  private final SqliteConnector connector;
  private final CheckedReaders readers;
  private final CheckedReaders pointReaders;
  private final Points points;
  private final CheckedReaders probes;
  private final SqliteCheckpointer checkpointer;

  /** Whether there is a store on the database; if not, nothing of it is to stay. */
  private boolean started;

  SqliteDialect(SqlOptions options, StoreMetrics metrics) {
    this.admission = options.admission();
    this.file = new SqliteFile(((Endpoint.Sqlite) options.endpoint()).file());
    this.connector = new SqliteConnector(file);
    Lender forRanges =
        new SessionPool(options.readers(), Long.MAX_VALUE, () -> connector.openReader(BUSY_MILLIS));
    this.readers = new CheckedReaders(forRanges, this, Duration.ofSeconds(2));
    int pointReads = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, options.readers());
    Lender forPoints =
        new SessionPool(pointReads, Long.MAX_VALUE, () -> connector.openReader(BUSY_MILLIS));
    this.pointReaders = new CheckedReaders(forPoints, this, Duration.ofSeconds(2));
    Lender.report(metrics, List.of(forRanges, forPoints));
    this.points =
        new Points(pointReaders, pointReads, POINTS_TOGETHER, Point::readEach, this::failure);
    this.probes =
        new CheckedReaders(
            new SessionPool(1, PROBE_MILLIS, () -> connector.openReader(PROBE_MILLIS)),
            this,
            Duration.ofSeconds(1));
    this.checkpointer =
        new SqliteCheckpointer(() -> connector.open(0), options.walBytes(), metrics);
  }

  @Override
  public void prepare() throws OpenException {
    file.take();
    try (Session session = connector.open(BUSY_MILLIS)) {
      Schema.check(this, session, admission);
      SqliteConnector.setUp(session);
    } catch (SQLException e) {
      throw new OpenException("cannot open the database " + file.path() + ": " + e.getMessage(), e);
    }
  }

  @Override
  public Session connectWriter() throws SQLException {
    Session session = connector.open(BUSY_MILLIS);
    session.execute("PRAGMA cache_size = -32768");
    checkpointer.start();
    return session;
  }

  @Override
  public void floor(Supplier<Meta> acknowledged) {
    started = true;
    readers.floor(acknowledged);
    pointReaders.floor(acknowledged);
    probes.floor(acknowledged);
  }

  @Override
  public CompletableFuture<@Nullable Point> point(Bytes key) {
    return points.read(key);
  }

  @Override
  public Readers probes() {
    return probes;
  }

  @Override
  public Meta beginSnapshot(Session session) throws SQLException {
    SqliteConnector.plainly(session, "BEGIN");
    return Meta.read(session);
  }

  @Override
  public void endSnapshot(Session session, boolean failed) throws SQLException {
    SqliteConnector.plainly(session, failed ? "ROLLBACK" : "COMMIT");
  }

  @Override
  public List<String> tables(Session session) throws SQLException {
    List<String> tables = new ArrayList<>();
    try (ResultSet rows = session.prepare(TABLES).executeQuery()) {
      while (rows.next()) {
        tables.add(rows.getString(1));
      }
    }
    return tables;
  }

  @Override
  public List<String> schema() {
    return Schema.statements("BLOB", "INTEGER", " WITHOUT ROWID");
  }

  @Override
  public List<String> attributeSchema() {
    return Schema.attributeStatements("BLOB", "INTEGER", " WITHOUT ROWID");
  }

  @Override
  public List<String> taskSchema() {
    return Schema.taskStatements("BLOB", "INTEGER");
  }

  @Override
  public boolean hasSchema(Session session) throws SQLException {
    try (ResultSet rows =
        session
            .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'")
            .executeQuery()) {
      return rows.next();
    }
  }

  @Override
  public void begin(Session session) throws SQLException {
    session.execute("BEGIN IMMEDIATE");
  }

  /** What has been written of a commit that failed is in the log, where a crash may find it. */
  @Override
  public void commit(Session session) throws SQLException {
    try {
      session.execute("COMMIT");
    } catch (SQLException e) {
      throw new OutcomeUnknownException(e);
    }
  }

  @Override
  public boolean isShared() {
    return false;
  }

  @Override
  public void rollback(Session session) throws SQLException {
    session.execute("ROLLBACK");
  }

  @Override
  public Readers readers() {
    return readers;
  }

  @Override
  public void fetch(
      Session session,
      Collection<Bytes> keys,
      long maxBytes,
      Map<Bytes, @Nullable Head> known,
      @Nullable AttributeChanges attributes)
      throws SQLException {
    PreparedStatement select = session.prepare(FETCH);
    long left = maxBytes;
    for (Bytes key : keys) {
      select.setLong(1, left);
      select.setBytes(2, key.array());
      try (ResultSet rows = select.executeQuery()) {
        Head head = rows.next() ? Head.read(key, rows, 1) : null;
        left -= head == null ? 0 : head.kv().value().size();
        known.put(key, head);
      }
    }
    if (attributes != null) {
      List<Bytes> present = keys.stream().filter(key -> known.get(key) != null).toList();
      fetchAttributes(session, present, attributes);
    }
  }

  @Override
  public Set<AttributeName> present(
      Session session, Collection<AttributeName> names, List<String> values) throws SQLException {
    Set<AttributeName> present = new HashSet<>();
    PreparedStatement any = session.prepare(PRESENT);
    PreparedStatement one = session.prepare(PRESENT_WITH);
    for (AttributeName name : names) {
      any.setBytes(1, Rows.bytes(name));
      boolean found = values.isEmpty() && isThere(any);
      for (int i = 0; i < values.size() && !found; i++) {
        one.setBytes(1, Rows.bytes(name));
        one.setBytes(2, Rows.bytes(values.get(i)));
        found = isThere(one);
      }
      if (found) {
        present.add(name);
      }
    }
    return present;
  }

  private static boolean isThere(PreparedStatement select) throws SQLException {
    try (ResultSet rows = select.executeQuery()) {
      return rows.next();
    }
  }

  @Override
  public void write(Session session, Changes changes) throws SQLException {
    PreparedStatement insert = session.prepare(INSERT_LOG);
    for (LogRow row : changes.log()) {
      KeyValue kv = row.kv();
      insert.setLong(1, row.id());
      insert.setBytes(2, kv.key().array());
      insert.setLong(3, row.prev());
      insert.setLong(4, row.created());
      insert.setLong(5, kv.version());
      insert.setLong(6, kv.lease());
      insert.setBytes(7, kv.version() == 0 ? null : kv.value().array());
      insert.executeUpdate();
    }
    PreparedStatement upsert = session.prepare(UPSERT_LIVE);
    PreparedStatement delete = session.prepare("DELETE FROM live WHERE key = ?");
    for (LogRow row : changes.live()) {
      KeyValue kv = row.kv();
      if (kv.version() == 0) {
        delete.setBytes(1, kv.key().array());
        delete.executeUpdate();
      } else {
        upsert.setBytes(1, kv.key().array());
        upsert.setLong(2, row.id());
        upsert.setLong(3, kv.createRevision());
        upsert.setLong(4, kv.version());
        upsert.setLong(5, kv.lease());
        upsert.executeUpdate();
      }
    }
    if (!changes.attributes().isEmpty()) {
      write(session, changes.attributes());
    }
  }

  private static void fetchAttributes(
      Session session, Collection<Bytes> keys, AttributeChanges into) throws SQLException {
    PreparedStatement select =
        session.prepare("SELECT name, value, from_id FROM attribute WHERE key = ?");
    for (Bytes key : keys) {
      select.setBytes(1, key.array());
      Map<AttributeName, AttributeChanges.Held> attributes = new HashMap<>();
      try (ResultSet rows = select.executeQuery()) {
        while (rows.next()) {
          attributes.put(
              Rows.name(rows, 1), new AttributeChanges.Held(Rows.text(rows, 2), rows.getLong(3)));
        }
      }
      into.loaded(key, attributes);
    }
  }

  private static void write(Session session, AttributeChanges changes) throws SQLException {
    PreparedStatement past =
        session.prepare(
            "INSERT INTO attribute_past (key, name, value, number, from_id, to_id)"
                + " VALUES (?, ?, ?, ?, ?, ?)");
    for (AttributeChanges.Past row : changes.past()) {
      bind(past, row.key(), row.name(), row.held());
      past.setLong(6, row.to());
      past.executeUpdate();
    }
    PreparedStatement delete = session.prepare("DELETE FROM attribute WHERE key = ? AND name = ?");
    for (AttributeChanges.Row row : changes.deletions()) {
      delete.setBytes(1, row.key().array());
      delete.setBytes(2, Rows.bytes(row.name()));
      delete.executeUpdate();
    }
    PreparedStatement upsert =
        session.prepare(
            """
            INSERT INTO attribute (key, name, value, number, from_id) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (key, name) DO UPDATE SET value = excluded.value,
              number = excluded.number, from_id = excluded.from_id""");
    for (AttributeChanges.Row row : changes.upserts()) {
      bind(upsert, row.key(), row.name(), row.held());
      upsert.executeUpdate();
    }
  }

  private static void bind(
      PreparedStatement statement, Bytes key, AttributeName name, AttributeChanges.Held held)
      throws SQLException {
    statement.setBytes(1, key.array());
    statement.setBytes(2, Rows.bytes(name));
    statement.setBytes(3, Rows.bytes(held.value()));
    OptionalLong number = Filter.integer(held.value());
    if (number.isPresent()) {
      statement.setLong(4, number.getAsLong());
    } else {
      statement.setNull(4, Types.BIGINT);
    }
    statement.setLong(5, held.from());
  }

  @Override
  public int delete(Session session, List<Long> ids) throws SQLException {
    int deleted = 0;
    PreparedStatement delete = session.prepare("DELETE FROM log WHERE id = ?");
    for (long id : ids) {
      delete.setLong(1, id);
      deleted += delete.executeUpdate();
    }
    return deleted;
  }

  @Override
  public Failure failure(SQLException e) {
    return Failure.sqlite(e);
  }

  @Override
  public boolean goesOn(SQLException e) {
    return Failure.sqliteGoesOn(e);
  }

  @Override
  public long[] size(Session session) throws SQLException {
    long pageSize = number(session, "PRAGMA page_size");
    long pages = number(session, "PRAGMA page_count");
    long free = number(session, "PRAGMA freelist_count");
    return new long[] {pages * pageSize, (pages - free) * pageSize};
  }

  static long number(Session session, String sql) throws SQLException {
    try (ResultSet rows = session.prepare(sql).executeQuery()) {
      return rows.next() ? rows.getLong(1) : 0;
    }
  }

  @Override
  public void afterCommit(Session session) throws SQLException {
    checkpointer.afterCommit(session);
  }

  @Override
  public boolean vacuumStep(Session session) throws SQLException {
    long free = number(session, "PRAGMA freelist_count");
    long spare = Math.max(VACUUM_PAGES, number(session, "PRAGMA page_count") / 16);
    if (free <= spare) {
      return false;
    }
    vacuum(session, VACUUM_PAGES);
    return true;
  }

  /** The pragma frees a page with every step; only a plain statement is stepped to its end. */
  private static void vacuum(Session session, long pages) throws SQLException {
    try (Statement statement = session.connection().createStatement()) {
      statement.executeUpdate("PRAGMA incremental_vacuum(" + pages + ")");
    }
  }

  @Override
  public void defragment(Session session) throws SQLException {
    vacuum(session, Integer.MAX_VALUE);
    checkpointer.truncate(session);
  }

  @Override
  public void close() {
    points.close();
    probes.close();
    pointReaders.close();
    readers.close();
    checkpointer.close();
    if (started || (file.isNew() && holdsTables())) {
      file.close();
    } else {
      file.undo();
    }
  }

  private boolean holdsTables() {
    try (Session session = connector.open(0)) {
      return !tables(session).isEmpty();
    } catch (SQLException e) {
      return true;
    }
  }
}
