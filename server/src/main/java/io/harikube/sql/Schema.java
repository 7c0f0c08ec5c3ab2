package io.harikube.sql;

import java.security.SecureRandom;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Makes and migrates the tables.
 *
 * <p>The version of the schema stands in {@code meta.schema_version}. A database of a newer version
 * is left alone; an older one is brought forward, one step for each version, in one transaction.
 */
final class Schema {
  static final int VERSION = 5;

  /** What the table meta of every version has. */
  private static final Set<String> META =
      Set.of("schema_version", "cluster_id", "writer", "epoch", "commits", "revision");

  private static final String ELSEWHERE =
      "nothing in it has been changed: name a database of its own for the store";

  /** Keys that are no more, each with the life that ended; see {@link Ranges}. */
  private static final String LOG_DELETED =
      "CREATE INDEX log_deleted ON log (key, id, create_revision) WHERE version = 0";

  /** The steps that bring a database from version i + 1 to version i + 2. */
  private static List<List<String>> migrations(Dialect dialect) {
    return List.of(
        List.of(
            "ALTER TABLE log ADD COLUMN prev bigint NOT NULL DEFAULT 0",
            """
              UPDATE log SET prev = coalesce(
                (SELECT max(q.id) FROM log q WHERE q.key = log.key AND q.id < log.id), 0)
              WHERE version <> 1""",
            """
              UPDATE log SET create_revision = coalesce(
                (SELECT p.create_revision FROM log p WHERE p.id = log.prev), 0)
              WHERE version = 0""",
            "DROP INDEX log_key",
            LOG_DELETED),
        concat(
            List.of("ALTER TABLE meta ADD COLUMN indexed bigint NOT NULL DEFAULT -1"),
            dialect.attributeSchema()),
        List.of(
            "ALTER TABLE meta ADD COLUMN server bigint NOT NULL DEFAULT 0",
            "ALTER TABLE meta ADD COLUMN deposed bigint NOT NULL DEFAULT 0"),
        dialect.taskSchema());
  }

  private Schema() {}

  /**
   * Brings the database to {@link #VERSION}; the session is in a transaction, which the caller
   * ends.
   *
   * @return what {@code admission} knows of the store
   */
  static long migrate(Dialect dialect, Session session, Admission admission)
      throws SQLException, OpenException {
    boolean there = dialect.hasSchema(session);
    long known = check(dialect, session, admission);
    if (!there) {
      for (String statement : dialect.schema()) {
        session.execute(statement);
      }
      insertMeta(session);
      return known;
    }
    upgrade(dialect, session, (int) version(session));
    return known;
  }

  /**
   * Looks whether the database is empty or holds a store of this version or an older one, and one
   * that is let in. Changes nothing.
   *
   * @return what {@code admission} knows of the store
   * @throws OpenException what it holds instead
   */
  static long check(Dialect dialect, Session session, Admission admission)
      throws SQLException, OpenException {
    List<String> tables = dialect.tables(session);
    if (!tables.contains("meta")) {
      if (!tables.isEmpty()) {
        throw new OpenException(foreign(tables));
      }
      return admission.admit(null);
    }
    long version = version(session);
    if (version > VERSION) {
      throw new OpenException(
          "the database has schema version "
              + version
              + ", which is newer than this server's "
              + VERSION
              + ": start a newer server");
    }
    if (version < 1) {
      throw new OpenException(
          "the database has a table \"meta\" that is not the one of a store; " + ELSEWHERE);
    }
    List<String> missing = new ArrayList<>(List.of("log", "live", "lease"));
    missing.removeAll(tables);
    if (!missing.isEmpty()) {
      throw new OpenException(
          "the database holds a damaged store: it has no table \"" + missing.getFirst() + "\"");
    }
    return admission.admit(found(session));
  }

  /** What every version says of a store. */
  private static Admission.Found found(Session session) throws SQLException {
    try (Statement statement = session.connection().createStatement();
        ResultSet rows = statement.executeQuery("SELECT cluster_id, revision FROM meta")) {
      if (!rows.next()) {
        throw new SQLException("the table meta is empty");
      }
      return new Admission.Found(rows.getLong(1), rows.getLong(2));
    }
  }

  private static String foreign(List<String> tables) {
    if (tables.contains("kine")) {
      return "the database holds the data of kine, which this server does not read; " + ELSEWHERE;
    }
    String some = tables.stream().limit(3).collect(Collectors.joining("\", \"", "\"", "\""));
    return "the database holds something else than a store (it has the tables "
        + some
        + (tables.size() > 3 ? " and others); " : "); ")
        + ELSEWHERE;
  }

  /** Brings tables of an older version forward. */
  static void upgrade(Dialect dialect, Session session, int version) throws SQLException {
    if (version < 1) {
      throw new SQLException("the table meta is not the one of a store");
    }
    for (int step = version; step < VERSION; step++) {
      for (String statement : migrations(dialect).get(step - 1)) {
        session.execute(statement);
      }
    }
    if (version < VERSION) {
      session.execute("UPDATE meta SET schema_version = " + VERSION);
    }
  }

  /** The version of the schema; 0 if the table meta is not a store's. */
  private static long version(Session session) throws SQLException {
    try (Statement statement = session.connection().createStatement();
        ResultSet rows = statement.executeQuery("SELECT * FROM meta")) {
      Set<String> columns = new HashSet<>();
      ResultSetMetaData header = rows.getMetaData();
      for (int i = 1; i <= header.getColumnCount(); i++) {
        columns.add(header.getColumnName(i));
      }
      if (!columns.containsAll(META) || !rows.next()) {
        return 0;
      }
      String version = String.valueOf(rows.getString("schema_version"));
      return version.matches("[0-9]{1,18}") ? Long.parseLong(version) : 0;
    }
  }

  private static void insertMeta(Session session) throws SQLException {
    SecureRandom random = new SecureRandom();
    PreparedStatement insert =
        session.prepare(
            "INSERT INTO meta (one, schema_version, cluster_id, member_id, writer, epoch, commits,"
                + " revision, compacted, compacting, compact_cursor, indexed)"
                + " VALUES (1, ?, ?, ?, 0, 0, 0, 1, -1, -1, 0, 1)");
    insert.setInt(1, VERSION);
    insert.setLong(2, random.nextLong(1, Long.MAX_VALUE));
    insert.setLong(3, random.nextLong(1, Long.MAX_VALUE));
    insert.executeUpdate();
  }

  /**
   * The tables, with each database's words for a byte string, a 64-bit integer and a clustered key.
   */
  static List<String> statements(String bytes, String integer, String clustered) {
    return concat(
        List.of(
            """
        CREATE TABLE meta (
          one %2$s PRIMARY KEY CHECK (one = 1),
          schema_version %2$s NOT NULL,
          cluster_id %2$s NOT NULL,
          member_id %2$s NOT NULL,
          writer %2$s NOT NULL,
          epoch %2$s NOT NULL,
          commits %2$s NOT NULL,
          revision %2$s NOT NULL,
          compacted %2$s NOT NULL,
          compacting %2$s NOT NULL,
          compact_cursor %2$s NOT NULL,
          indexed %2$s NOT NULL,
          server %2$s NOT NULL DEFAULT 0,
          deposed %2$s NOT NULL DEFAULT 0)"""
                .formatted(bytes, integer),
            """
        CREATE TABLE log (
          id %2$s PRIMARY KEY,
          key %1$s NOT NULL,
          prev %2$s NOT NULL,
          create_revision %2$s NOT NULL,
          version %2$s NOT NULL,
          lease %2$s NOT NULL,
          value %1$s)"""
                .formatted(bytes, integer),
            LOG_DELETED,
            """
        CREATE TABLE live (
          key %1$s PRIMARY KEY,
          id %2$s NOT NULL,
          create_revision %2$s NOT NULL,
          version %2$s NOT NULL,
          lease %2$s NOT NULL)%3$s"""
                .formatted(bytes, integer, clustered),
            "CREATE INDEX live_lease ON live (lease, key) WHERE lease <> 0",
            """
        CREATE TABLE lease (
          id %2$s PRIMARY KEY,
          ttl %2$s NOT NULL,
          expires_at %2$s NOT NULL)"""
                .formatted(bytes, integer),
            "CREATE INDEX lease_expires_at ON lease (expires_at)"),
        concat(attributeStatements(bytes, integer, clustered), taskStatements(bytes, integer)));
  }

  /**
   * The tables of attributes: {@code attribute} has those of the keys that there are, {@code
   * attribute_past} those that a change has ended and no compaction has reached yet. An attribute
   * holds from the change {@code from_id} on, and until before the change {@code to_id}. {@code
   * attribute_ready} has the names that were added later, and since when all keys have them.
   */
  static List<String> attributeStatements(String bytes, String integer, String clustered) {
    return List.of(
        """
        CREATE TABLE attribute (
          key %1$s NOT NULL,
          name %1$s NOT NULL,
          value %1$s NOT NULL,
          number %2$s,
          from_id %2$s NOT NULL,
          PRIMARY KEY (key, name))%3$s"""
            .formatted(bytes, integer, clustered),
        "CREATE INDEX attribute_value ON attribute (name, value, key)",
        """
        CREATE TABLE attribute_past (
          key %1$s NOT NULL,
          name %1$s NOT NULL,
          value %1$s NOT NULL,
          number %2$s,
          from_id %2$s NOT NULL,
          to_id %2$s NOT NULL,
          PRIMARY KEY (key, name, from_id))%3$s"""
            .formatted(bytes, integer, clustered),
        "CREATE INDEX attribute_past_value ON attribute_past (name, value, key)",
        "CREATE INDEX attribute_past_end ON attribute_past (to_id)",
        """
        CREATE TABLE attribute_ready (
          name %1$s PRIMARY KEY,
          revision %2$s NOT NULL)%3$s"""
            .formatted(bytes, integer, clustered));
  }

  /**
   * What is to be done because of changes; a task with {@code waiting} 1 is not to be done before
   * something about its subject has changed.
   */
  static List<String> taskStatements(String bytes, String integer) {
    return List.of(
        """
        CREATE TABLE task (
          id %2$s PRIMARY KEY,
          kind %1$s NOT NULL,
          subject %1$s NOT NULL,
          key %1$s NOT NULL,
          waiting %2$s NOT NULL)"""
            .formatted(bytes, integer),
        "CREATE INDEX task_ready ON task (id) WHERE waiting = 0",
        "CREATE INDEX task_subject ON task (subject, waiting, id)",
        // Of those that wait alone: a change to a long key must not fail for its tasks.
        "CREATE INDEX task_parked ON task (subject, key) WHERE waiting = 1");
  }

  private static List<String> concat(List<String> first, List<String> second) {
    List<String> all = new ArrayList<>(first);
    all.addAll(second);
    return all;
  }
}
