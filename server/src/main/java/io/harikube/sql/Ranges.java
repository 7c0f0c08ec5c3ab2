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
 * The SQL of ranges. Each call is one statement.
 *
 * <p>Current ranges walk the table live. For an older revision, a key's life that it falls into
 * ends either in the table live or in a deletion of a later revision, which an index has; from that
 * end the changes lead back, each to the one before, to the first that is not above the revision.
 * So the cost of a key is the number of its changes since the revision, and the log needs no index
 * of all its keys, which would be a third of what a write costs.
 */
final class Ranges {
  private static final int FETCH_ROWS = 200;
  private static final String LOG_COLUMNS =
      "l.key, l.id, l.create_revision, l.version, l.lease, l.value";
  private static final String KEY_COLUMNS =
      "l.key, l.id, l.create_revision, l.version, l.lease, NULL";

  /** The id of the change of the head h that is the newest below an id. */
  private static final String AT =
      """
      CASE WHEN h.id < ? THEN h.id ELSE (
        WITH RECURSIVE change (id) AS (
          SELECT h.id UNION ALL
          SELECT p.prev FROM change JOIN log p ON p.id = change.id WHERE change.id >= ?)
        SELECT min(id) FROM change) END""";

  private Ranges() {}

  /** The last changes of all keys that there were at a revision, in the life that they had then. */
  static String heads(KeyRange range) {
    String condition = Rows.condition("key", range) + " AND create_revision <= ?";
    return inOrder("SELECT key, id FROM live WHERE " + condition)
        + " UNION ALL "
        + inOrder("SELECT key, id FROM log WHERE version = 0 AND " + condition + " AND id >= ?");
  }

  /**
   * An arm of a UNION ALL that comes in the order of the keys. Without it PostgreSQL does not see
   * that arms that are in order can be merged, and sorts all of the range for every page.
   */
  static String inOrder(String arm) {
    return "SELECT * FROM (" + arm + " ORDER BY key) o";
  }

  /** Sets the parameters of {@link #heads} from {@code index} on; answers the next index. */
  private static int bindHeads(PreparedStatement select, int index, KeyRange range, long revision)
      throws SQLException {
    int next = Rows.bind(select, index, range);
    select.setLong(next, revision);
    next = Rows.bind(select, next + 1, range);
    select.setLong(next, revision);
    select.setLong(next + 1, Ids.first(revision + 1));
    return next + 2;
  }

  private static int bindAt(PreparedStatement select, long revision) throws SQLException {
    select.setLong(1, Ids.first(revision + 1));
    select.setLong(2, Ids.first(revision + 1));
    return 3;
  }

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
            : "SELECT v.key, v.id, v.create_revision, v.version, v.lease,"
                + " (SELECT l.value FROM log l WHERE l.id = v.id) FROM live v WHERE ";
    PreparedStatement select =
        session.prepare(from + Rows.condition("v.key", range) + " ORDER BY v.key LIMIT ?");
    select.setLong(Rows.bind(select, 1, range), limit);
    return read(select, limit, into);
  }

  /**
   * Reads up to {@code limit} keys as they were at {@code revision}, in order, until the page is
   * full.
   *
   * @return where to go on; null if the range is at its end
   */
  static @Nullable Bytes history(
      Session session, KeyRange range, long revision, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    return read(page(session, "", range, revision, limit, keysOnly), limit, into);
  }

  /** Executes the statement of a page; answers where to go on. */
  static @Nullable Bytes read(PreparedStatement select, long limit, Collector into)
      throws SQLException {
    long read = 0;
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

  /** The changes behind heads, in the order of their keys; its first parameters are two ids. */
  static String changes(boolean keysOnly, String heads) {
    return "SELECT "
        + (keysOnly ? KEY_COLUMNS : LOG_COLUMNS)
        + " FROM (SELECT h.key, "
        + AT
        + " AS id FROM ("
        + heads
        + ") h) w CROSS JOIN log l WHERE l.id = w.id ORDER BY w.key";
  }

  private static PreparedStatement page(
      Session session, String explain, KeyRange range, long revision, long limit, boolean keysOnly)
      throws SQLException {
    PreparedStatement select =
        session.prepare(explain + changes(keysOnly, heads(range) + " ORDER BY key LIMIT ?"));
    select.setLong(bindHeads(select, bindAt(select, revision), range, revision), limit);
    return select;
  }

  /** The statement of a page at a revision, for those who look at how the database does it. */
  static PreparedStatement explain(
      Session session, String explain, KeyRange range, long revision, long limit)
      throws SQLException {
    return page(session, explain, range, revision, limit, false);
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
            : "(SELECT "
                + AT
                + " AS id FROM ("
                + heads(range)
                + ") h) v CROSS JOIN log l"
                + " WHERE l.id = v.id";
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
    int next =
        revision == 0
            ? Rows.bind(select, 1, range)
            : bindHeads(select, bindAt(select, revision), range, revision);
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
    PreparedStatement select = session.prepare("SELECT count(*) FROM (" + heads(range) + ") h");
    bindHeads(select, 1, range, revision);
    return number(select);
  }

  /** The id of the change that made {@code key} what it was at {@code revision}; 0 for no key. */
  static long at(Session session, Bytes key, long revision) throws SQLException {
    KeyRange range = KeyRange.single(key);
    PreparedStatement select =
        session.prepare("SELECT coalesce(max(" + AT + "), 0) FROM (" + heads(range) + ") h");
    bindHeads(select, bindAt(select, revision), range, revision);
    return number(select);
  }

  private static long number(PreparedStatement select) throws SQLException {
    try (ResultSet rows = select.executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }
}
