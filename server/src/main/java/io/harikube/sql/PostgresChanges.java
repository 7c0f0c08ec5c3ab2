package io.harikube.sql;

import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import java.sql.Array;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/** Changes as PostgreSQL takes them: a handful of statements over arrays, whatever their number. */
final class PostgresChanges {
  private static final String INSERT_LOG =
      """
      INSERT INTO log (id, key, prev, create_revision, version, lease, value)
      SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?)""";
  private static final String UPSERT_LIVE =
      """
      INSERT INTO live (key, id, create_revision, version, lease) SELECT * FROM unnest(?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET id = excluded.id, create_revision = excluded.create_revision,
        version = excluded.version, lease = excluded.lease""";
  private static final String DELETE_LIVE = "DELETE FROM live WHERE key = ANY (?)";
  private static final String DELETE_ATTRIBUTES =
      """
      DELETE FROM attribute WHERE ctid = ANY (ARRAY(
        SELECT (SELECT a.ctid FROM attribute a WHERE a.key = gone.key AND a.name = gone.name)
        FROM unnest(?, ?) AS gone (key, name)))""";
  private static final String UPSERT_ATTRIBUTES =
      """
      INSERT INTO attribute (key, name, value, number, from_id)
      SELECT * FROM unnest(?, ?, ?, ?, ?)
      ON CONFLICT (key, name) DO UPDATE SET value = excluded.value,
        number = excluded.number, from_id = excluded.from_id""";
  private static final String INSERT_PAST =
      "INSERT INTO attribute_past (key, name, value, number, from_id, to_id)"
          + " SELECT * FROM unnest(?, ?, ?, ?, ?, ?)";

  private PostgresChanges() {}

  /** Adds the statements that write {@code changes}, each over all of its rows. */
  static void add(Session session, Changes changes, Pipeline pipeline) throws SQLException {
    List<LogRow> log = changes.log();
    if (!log.isEmpty()) {
      byte[] @Nullable [] values = new byte[log.size()] @Nullable [];
      for (int i = 0; i < values.length; i++) {
        KeyValue kv = log.get(i).kv();
        values[i] = kv.version() == 0 ? null : kv.value().array();
      }
      pipeline.add(
          INSERT_LOG,
          longs(session, log, LogRow::id),
          bytes(session, log, row -> row.kv().key().array()),
          longs(session, log, LogRow::prev),
          longs(session, log, LogRow::created),
          longs(session, log, row -> row.kv().version()),
          longs(session, log, row -> row.kv().lease()),
          session.connection().createArrayOf("bytea", values));
    }
    List<LogRow> set = new ArrayList<>();
    List<LogRow> gone = new ArrayList<>();
    for (LogRow row : changes.live()) {
      (row.kv().version() == 0 ? gone : set).add(row);
    }
    if (!set.isEmpty()) {
      pipeline.add(
          UPSERT_LIVE,
          bytes(session, set, row -> row.kv().key().array()),
          longs(session, set, LogRow::id),
          longs(session, set, row -> row.kv().createRevision()),
          longs(session, set, row -> row.kv().version()),
          longs(session, set, row -> row.kv().lease()));
    }
    if (!gone.isEmpty()) {
      pipeline.add(DELETE_LIVE, bytes(session, gone, row -> row.kv().key().array()));
    }
    List<AttributeChanges.Row> deletions = changes.attributes().deletions();
    if (!deletions.isEmpty()) {
      pipeline.add(
          DELETE_ATTRIBUTES,
          bytes(session, deletions, row -> row.key().array()),
          bytes(session, deletions, row -> Rows.bytes(row.name())));
    }
    List<AttributeChanges.Row> upserts = changes.attributes().upserts();
    if (!upserts.isEmpty()) {
      pipeline.add(UPSERT_ATTRIBUTES, columns(session, upserts).toArray());
    }
    List<AttributeChanges.Past> past = changes.attributes().past();
    if (!past.isEmpty()) {
      List<Object> parameters =
          columns(
              session,
              past.stream()
                  .map(row -> new AttributeChanges.Row(row.key(), row.name(), row.held()))
                  .toList());
      parameters.add(longs(session, past, AttributeChanges.Past::to));
      pipeline.add(INSERT_PAST, parameters.toArray());
    }
  }

  private static List<Object> columns(Session session, List<AttributeChanges.Row> rows)
      throws SQLException {
    @Nullable Long[] numbers = new @Nullable Long[rows.size()];
    for (int i = 0; i < numbers.length; i++) {
      OptionalLong number = Filter.integer(rows.get(i).held().value());
      numbers[i] = number.isPresent() ? (Long) number.getAsLong() : null;
    }
    return new ArrayList<>(
        List.of(
            bytes(session, rows, row -> row.key().array()),
            bytes(session, rows, row -> Rows.bytes(row.name())),
            bytes(session, rows, row -> Rows.bytes(row.held().value())),
            session.connection().createArrayOf("bigint", numbers),
            longs(session, rows, row -> row.held().from())));
  }

  static <T> Array bytes(Session session, Collection<T> rows, Function<T, byte[]> column)
      throws SQLException {
    byte[][] values = rows.stream().map(column).toArray(byte[][]::new);
    return session.connection().createArrayOf("bytea", values);
  }

  static <T> Array longs(Session session, List<T> rows, ToLongFunction<T> column)
      throws SQLException {
    return session
        .connection()
        .unwrap(org.postgresql.PGConnection.class)
        .createArrayOf("bigint", rows.stream().mapToLong(column).toArray());
  }
}
