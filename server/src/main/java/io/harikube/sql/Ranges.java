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
  static Sql heads(KeyRange range, long revision) {
    Sql live =
        Sql.of("SELECT key, id FROM live WHERE ")
            .in("key", range)
            .add(" AND create_revision <= ?", revision);
    Sql ended =
        Sql.of("SELECT key, id FROM log WHERE version = 0 AND ")
            .in("key", range)
            .add(" AND create_revision <= ? AND id >= ?", revision, Ids.first(revision + 1));
    return inOrder(live).add(" UNION ALL ").add(inOrder(ended));
  }

  /**
   * An arm of a UNION ALL that comes in the order of the keys. Without it PostgreSQL does not see
   * that arms that are in order can be merged, and sorts all of the range for every page.
   */
  static Sql inOrder(Sql arm) {
    return Sql.of("SELECT * FROM (").add(arm).add(" ORDER BY key) o");
  }

  /** The id of the change of the head h that is the newest of a revision or one before. */
  private static Sql at(long revision) {
    return Sql.of(AT, Ids.first(revision + 1), Ids.first(revision + 1));
  }

  /** The columns of rows; see {@link Values#columns}. */
  static Sql columns(String from, boolean keysOnly, long rows) {
    String columns = "SELECT " + Values.columns(from, keysOnly);
    return keysOnly ? Sql.of(columns) : Sql.of(columns, Values.largest(rows));
  }

  /**
   * Reads up to {@code limit} keys as they are now, in order, until the page is full.
   *
   * @return the rest of the range; null if it is at its end, or {@code into} takes no more
   */
  static @Nullable KeyRange live(
      Session session, KeyRange range, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    return read(session, live(range, limit, keysOnly), range, limit, keysOnly, into);
  }

  /** The outer join keeps PostgreSQL from looking for the keys of values. */
  private static Sql live(KeyRange range, long limit, boolean keysOnly) {
    return columns("v", keysOnly, limit)
        .add(" FROM live v " + (keysOnly ? "" : "LEFT JOIN log l ON l.id = v.id ") + "WHERE ")
        .in("v.key", range)
        .add(" ORDER BY v.key LIMIT ?", limit);
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
    Sql select = history(range, revision, limit, keysOnly);
    return read(session, select, range, limit, keysOnly, into);
  }

  /** Executes the statement of a page, and reads its values; answers the rest of the range. */
  static @Nullable KeyRange read(
      Session session, Sql select, KeyRange range, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    long read = 0;
    Bytes last = null;
    try (ResultSet rows = select.prepare(session).executeQuery()) {
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

  /** The changes behind heads that were the newest at a revision, in the order of their keys. */
  static Sql changes(long revision, long limit, boolean keysOnly, Sql heads) {
    return columns("l", keysOnly, limit)
        .add(" FROM (SELECT h.key, ")
        .add(at(revision))
        .add(" AS id FROM (")
        .add(heads)
        .add(") h) w CROSS JOIN log l WHERE l.id = w.id ORDER BY w.key");
  }

  private static Sql history(KeyRange range, long revision, long limit, boolean keysOnly) {
    Sql heads = heads(range, revision).add(" ORDER BY key LIMIT ?", limit);
    return changes(revision, limit, keysOnly, heads);
  }

  /**
   * The statement of a page, for those who look at how the database does it.
   *
   * @param revision 0 for the current one
   */
  static PreparedStatement explain(
      Session session, String explain, KeyRange range, long revision, long limit)
      throws SQLException {
    Sql page = revision == 0 ? live(range, limit, false) : history(range, revision, limit, false);
    return Sql.of(explain).add(page).prepare(session);
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
    boolean byValue = query.target() == RangeQuery.Target.VALUE;
    long rows = query.limit() > 0 ? query.limit() + 1 : Long.MAX_VALUE;
    Sql chosen = Sql.of(" ORDER BY " + order(query));
    if (query.limit() > 0) {
      chosen.add(" LIMIT ?", rows);
    }
    Sql found =
        columns("v", query.keysOnly(), Math.min(rows, FETCH_ROWS))
            .add(" FROM (SELECT key, id, create_revision, version, lease FROM (")
            .add(keys(query, revision, rows))
            .add(") v WHERE id >= ? AND id < ?", firstId(query.minModRevision()), endId(query))
            .add(
                " AND create_revision >= ? AND create_revision <= ?",
                query.minCreateRevision(),
                query.maxCreateRevision() == 0 ? Long.MAX_VALUE : query.maxCreateRevision());
    // The values of those that are not wanted are not looked at, unless it is these that decide.
    if (byValue) {
      found.add(") v LEFT JOIN log l ON l.id = v.id").add(chosen);
    } else {
      found
          .add(chosen)
          .add(") v" + (query.keysOnly() ? "" : " LEFT JOIN log l ON l.id = v.id"))
          .add(" ORDER BY " + order(query));
    }
    PreparedStatement select = found.prepare(session);
    select.setFetchSize(FETCH_ROWS);
    try (ResultSet result = select.executeQuery()) {
      while (result.next() && into.takes()) {
        Values.add(result, query.keysOnly(), into);
      }
    }
  }

  /** The keys that a query is about, before it looks at anything else. */
  private static Sql keys(RangeQuery query, long revision, long rows) {
    Sql first = query.cutsBeforeSorting() ? Sql.of(" ORDER BY key LIMIT ?", rows) : new Sql();
    if (revision == 0) {
      return Sql.of("SELECT * FROM live WHERE ").in("key", query.range()).add(first);
    }
    return Sql.of("SELECT l.* FROM (SELECT h.key, ")
        .add(at(revision))
        .add(" AS id FROM (")
        .add(heads(query.range(), revision))
        .add(first)
        .add(") h) w CROSS JOIN log l WHERE l.id = w.id");
  }

  private static long endId(RangeQuery query) {
    return query.maxModRevision() == 0 ? Long.MAX_VALUE : firstId(query.maxModRevision() + 1);
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
    return number(session, Sql.of("SELECT count(*) FROM live WHERE ").in("key", range));
  }

  /** The number of keys in a range at a revision. */
  static long count(Session session, KeyRange range, long revision) throws SQLException {
    return number(session, Sql.of("SELECT count(*) FROM (").add(heads(range, revision)).add(") h"));
  }

  /** The id of the change that made {@code key} what it was at {@code revision}; 0 for no key. */
  static long at(Session session, Bytes key, long revision) throws SQLException {
    return number(
        session,
        Sql.of("SELECT coalesce(max(")
            .add(at(revision))
            .add("), 0) FROM (")
            .add(heads(KeyRange.single(key), revision))
            .add(") h"));
  }

  private static long number(Session session, Sql select) throws SQLException {
    try (ResultSet rows = select.prepare(session).executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }
}
