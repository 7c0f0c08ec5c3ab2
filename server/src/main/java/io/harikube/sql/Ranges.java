package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
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

  private static int bindAt(PreparedStatement select, int index, long revision)
      throws SQLException {
    select.setLong(index, Ids.first(revision + 1));
    select.setLong(index + 1, Ids.first(revision + 1));
    return index + 2;
  }

  /**
   * Reads up to {@code limit} keys as they are now, in order, until the page is full.
   *
   * @return the rest of the range; null if it is at its end, or {@code into} takes no more
   */
  static @Nullable KeyRange live(
      Session session, KeyRange range, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    return read(session, live(session, "", range, limit, keysOnly), range, limit, keysOnly, into);
  }

  /** The outer join keeps PostgreSQL from looking for the keys of values. */
  private static PreparedStatement live(
      Session session, String explain, KeyRange range, long limit, boolean keysOnly)
      throws SQLException {
    PreparedStatement select =
        session.prepare(
            explain
                + "SELECT "
                + Values.columns("v", keysOnly)
                + " FROM live v "
                + (keysOnly ? "" : "LEFT JOIN log l ON l.id = v.id ")
                + "WHERE "
                + Rows.condition("v.key", range)
                + " ORDER BY v.key LIMIT ?");
    select.setLong(Rows.bind(select, Values.bind(select, keysOnly, limit), range), limit);
    return select;
  }

  /**
   * Reads up to {@code limit} keys as they were at {@code revision}, in order, until the page is
   * full.
   *
   * @return the rest of the range; null if it is at its end, or {@code into} takes no more
   */
  static @Nullable KeyRange history(
      Session session, KeyRange range, long revision, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    PreparedStatement select = history(session, "", range, revision, limit, keysOnly);
    return read(session, select, range, limit, keysOnly, into);
  }

  /** Executes the statement of a page, and reads its values; answers the rest of the range. */
  static @Nullable KeyRange read(
      Session session,
      PreparedStatement select,
      KeyRange range,
      long limit,
      boolean keysOnly,
      Collector into)
      throws SQLException {
    long read = 0;
    Bytes last = null;
    try (ResultSet rows = select.executeQuery()) {
      while (!into.isFull() && rows.next() && into.takes()) {
        read++;
        last = Values.add(rows, keysOnly, into);
      }
    }
    into.fill(session);
    if (last == null || into.more() || (read < limit && !into.isFull())) {
      return null;
    }
    return range.from(last.successor());
  }

  /**
   * The changes behind heads, in the order of their keys; its first parameters are that of the
   * columns and two ids.
   */
  static String changes(boolean keysOnly, String heads) {
    return "SELECT "
        + Values.columns("l", keysOnly)
        + " FROM (SELECT h.key, "
        + AT
        + " AS id FROM ("
        + heads
        + ") h) w CROSS JOIN log l WHERE l.id = w.id ORDER BY w.key";
  }

  private static PreparedStatement history(
      Session session, String explain, KeyRange range, long revision, long limit, boolean keysOnly)
      throws SQLException {
    PreparedStatement select =
        session.prepare(explain + changes(keysOnly, heads(range) + " ORDER BY key LIMIT ?"));
    int next = bindAt(select, Values.bind(select, keysOnly, limit), revision);
    select.setLong(bindHeads(select, next, range, revision), limit);
    return select;
  }

  /**
   * The statement of a page, for those who look at how the database does it.
   *
   * @param revision 0 for the current one
   */
  static PreparedStatement explain(
      Session session, String explain, KeyRange range, long revision, long limit)
      throws SQLException {
    return revision == 0
        ? live(session, explain, range, limit, false)
        : history(session, explain, range, revision, limit, false);
  }

  /**
   * Finds the keys of a range in any order, with bounds on revisions, in one statement, and leaves
   * large values to be read: {@link Collector#fill}.
   *
   * @param revision the revision to read at; 0 for the current one
   * @param into takes as many as the limit says
   */
  static void sorted(Session session, RangeQuery query, long revision, Collector into)
      throws SQLException {
    KeyRange range = query.range();
    boolean cut = query.cutsBeforeSorting();
    boolean byValue = query.target() == RangeQuery.Target.VALUE;
    long rows = query.limit() > 0 ? query.limit() + 1 : Long.MAX_VALUE;
    String first = cut ? " ORDER BY key LIMIT ?" : "";
    String keys =
        revision == 0
            ? "SELECT * FROM live WHERE " + Rows.condition("key", range) + first
            : "SELECT l.* FROM (SELECT h.key, "
                + AT
                + " AS id FROM ("
                + heads(range)
                + first
                + ") h) w CROSS JOIN log l WHERE l.id = w.id";
    // The values of those that are not wanted are not looked at, unless it is these that decide.
    String chosen = " ORDER BY " + order(query) + (query.limit() > 0 ? " LIMIT ?" : "");
    PreparedStatement select =
        session.prepare(
            "SELECT "
                + Values.columns("v", query.keysOnly())
                + " FROM (SELECT key, id, create_revision, version, lease FROM ("
                + keys
                + ") v WHERE id >= ? AND id < ? AND create_revision >= ? AND create_revision <= ?"
                + (byValue ? "" : chosen)
                + ") v"
                + (byValue || !query.keysOnly() ? " LEFT JOIN log l ON l.id = v.id" : "")
                + (byValue ? chosen : " ORDER BY " + order(query)));
    select.setFetchSize(FETCH_ROWS);
    int next = Values.bind(select, query.keysOnly(), Math.min(rows, FETCH_ROWS));
    next =
        revision == 0
            ? Rows.bind(select, next, range)
            : bindHeads(select, bindAt(select, next, revision), range, revision);
    if (cut) {
      select.setLong(next++, rows);
    }
    select.setLong(next++, firstId(query.minModRevision()));
    select.setLong(
        next++, query.maxModRevision() == 0 ? Long.MAX_VALUE : firstId(query.maxModRevision() + 1));
    select.setLong(next++, query.minCreateRevision());
    select.setLong(
        next++, query.maxCreateRevision() == 0 ? Long.MAX_VALUE : query.maxCreateRevision());
    if (query.limit() > 0) {
      select.setLong(next, rows);
    }
    try (ResultSet result = select.executeQuery()) {
      while (result.next() && into.takes()) {
        Values.add(result, query.keysOnly(), into);
      }
    }
  }

  /** The first id of a revision that may be above all that there can be, or below. */
  private static long firstId(long revision) {
    return revision > Ids.revision(Long.MAX_VALUE)
        ? Long.MAX_VALUE
        : Ids.first(Math.max(0, revision));
  }

  /** Keys that the order does not tell apart come in their own. */
  private static String order(RangeQuery query) {
    String column =
        switch (query.target()) {
          case KEY -> "v.key";
          case VERSION -> "v.version";
          case CREATE -> "v.create_revision";
          case MOD -> Ids.revisionOf("v.id");
          case VALUE -> "l.value";
        };
    String direction = query.order() == RangeQuery.Order.DESCEND ? " DESC" : "";
    return column + direction + (query.target() == RangeQuery.Target.KEY ? "" : ", v.key");
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
    bindHeads(select, bindAt(select, 1, revision), range, revision);
    return number(select);
  }

  private static long number(PreparedStatement select) throws SQLException {
    try (ResultSet rows = select.executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }
}
