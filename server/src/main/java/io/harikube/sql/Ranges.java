package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.RangeQuery;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * The SQL of ranges. Current ranges walk the table live; older ones find the newest row of each key
 * below an id in the index (key, id). Each call is one statement.
 */
final class Ranges {
  private static final int FETCH_ROWS = 200;
  private static final String LOG_COLUMNS =
      "l.key, l.id, l.create_revision, l.version, l.lease, l.value";
  private static final String KEY_COLUMNS =
      "l.key, l.id, l.create_revision, l.version, l.lease, NULL";

  private Ranges() {}

  /**
   * Reads up to {@code limit} keys as they are now, in order, until the page is full.
   *
   * @return where to go on; null if the range is at its end
   */
  static @Nullable Bytes live(
      Session session, KeyRange range, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    String from =
        keysOnly
            ? "SELECT v.key, v.id, v.create_revision, v.version, v.lease, NULL FROM live v WHERE "
            : "SELECT v.key, v.id, v.create_revision, v.version, v.lease, l.value"
                + " FROM live v CROSS JOIN log l WHERE l.id = v.id AND ";
    PreparedStatement select =
        session.prepare(from + Rows.condition("v.key", range) + " ORDER BY v.key LIMIT ?");
    select.setLong(Rows.bind(select, 1, range), limit);
    int read = 0;
    Bytes last = Bytes.EMPTY;
    try (ResultSet rows = select.executeQuery()) {
      while (!into.isFull() && rows.next()) {
        read++;
        KeyValue kv = Rows.keyValue(rows, 1);
        last = kv.key();
        into.add(kv);
      }
    }
    return read < limit && !into.isFull() ? null : last.successor();
  }

  /**
   * Reads keys as they were at {@code revision}, in order, by looking at up to {@code limit} keys,
   * deleted ones among them.
   *
   * @return where to go on; null if the range is at its end
   */
  static @Nullable Bytes history(
      Session session, KeyRange range, long revision, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT "
                + (keysOnly ? KEY_COLUMNS : LOG_COLUMNS)
                + " FROM (SELECT key, max(id) AS id FROM log WHERE "
                + Rows.condition("key", range)
                + " AND id < ? GROUP BY key ORDER BY key LIMIT ?) h JOIN log l ON l.id = h.id"
                + " ORDER BY l.key");
    int next = Rows.bind(select, 1, range);
    select.setLong(next, Ids.first(revision + 1));
    select.setLong(next + 1, limit);
    int looked = 0;
    Bytes last = Bytes.EMPTY;
    try (ResultSet rows = select.executeQuery()) {
      while (!into.isFull() && rows.next()) {
        looked++;
        KeyValue kv = Rows.keyValue(rows, 1);
        last = kv.key();
        if (kv.version() > 0) {
          into.add(kv);
        }
      }
    }
    return looked < limit && !into.isFull() ? null : last.successor();
  }

  /**
   * Reads a whole range in any order, with bounds on revisions, in one statement.
   *
   * @param revision the revision to read at; 0 for the current one
   */
  static void sorted(Session session, RangeQuery query, long revision, Collector into)
      throws SQLException {
    KeyRange range = query.range();
    String rows =
        revision == 0
            ? "live v JOIN log l ON l.id = v.id WHERE " + Rows.condition("v.key", range)
            : "(SELECT key, max(id) AS id FROM log WHERE "
                + Rows.condition("key", range)
                + " AND id < ? GROUP BY key) v JOIN log l ON l.id = v.id WHERE l.version > 0";
    PreparedStatement select =
        session.prepare(
            "SELECT "
                + (query.keysOnly() ? KEY_COLUMNS : LOG_COLUMNS)
                + " FROM "
                + rows
                + " AND l.id >= ? AND l.id < ? AND l.create_revision >= ? AND l.create_revision <= ?"
                + " ORDER BY "
                + order(query)
                + (query.limit() > 0 ? " LIMIT ?" : ""));
    select.setFetchSize(FETCH_ROWS);
    int next = Rows.bind(select, 1, range);
    if (revision != 0) {
      select.setLong(next++, Ids.first(revision + 1));
    }
    select.setLong(next++, firstId(query.minModRevision()));
    select.setLong(
        next++, query.maxModRevision() == 0 ? Long.MAX_VALUE : firstId(query.maxModRevision() + 1));
    select.setLong(next++, query.minCreateRevision());
    select.setLong(
        next++, query.maxCreateRevision() == 0 ? Long.MAX_VALUE : query.maxCreateRevision());
    if (query.limit() > 0) {
      select.setLong(next, query.limit() == Long.MAX_VALUE ? query.limit() : query.limit() + 1);
    }
    try (ResultSet result = select.executeQuery()) {
      while (result.next()) {
        into.add(Rows.keyValue(result, 1));
      }
    }
  }

  private static long firstId(long revision) {
    return revision <= 0
        ? Math.min(revision, 0)
        : revision > Ids.revision(Long.MAX_VALUE) ? Long.MAX_VALUE : Ids.first(revision);
  }

  private static String order(RangeQuery query) {
    String column =
        switch (query.target()) {
          case KEY -> "l.key";
          case VERSION -> "l.version";
          case CREATE -> "l.create_revision";
          case MOD -> "l.id";
          case VALUE -> "l.value";
        };
    String direction = query.order() == RangeQuery.Order.DESCEND ? " DESC" : "";
    return column + direction + (query.target() == RangeQuery.Target.KEY ? "" : ", l.key");
  }

  /** The number of keys in a range, now. */
  static long count(Session session, KeyRange range) throws SQLException {
    PreparedStatement select =
        session.prepare("SELECT count(*) FROM live WHERE " + Rows.condition("key", range));
    Rows.bind(select, 1, range);
    return number(select);
  }

  /** The number of keys in a range at a revision. */
  static long count(Session session, KeyRange range, long revision) throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT count(*) FROM (SELECT max(id) AS id FROM log WHERE "
                + Rows.condition("key", range)
                + " AND id < ? GROUP BY key) h JOIN log l ON l.id = h.id WHERE l.version > 0");
    select.setLong(Rows.bind(select, 1, range), Ids.first(revision + 1));
    return number(select);
  }

  private static long number(PreparedStatement select) throws SQLException {
    try (ResultSet rows = select.executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }
}
