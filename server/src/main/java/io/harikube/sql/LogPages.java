package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the log in pages that are cut by bytes, whatever its values weigh.
 *
 * <p>A row comes with its value only if that is small, else with the size of it, because drivers
 * keep many rows of an answer in memory. Once it is known how far the page goes its large values
 * are read, a few at a time. A page of small values costs one statement.
 *
 * <p>To be called in a snapshot of the database.
 */
final class LogPages {
  /** How large a page is for those who pass over the log: in bytes. */
  static final int BYTES = 1 << 20;

  /** In bytes. Few values of Kubernetes are larger. */
  private static final int SMALL = 16 << 10;

  /** How many values of up to {@link #SMALL} bytes PostgreSQL's driver may hold. */
  private static final int FETCH_ROWS = 200;

  /** How many large values one statement reads, as long as they are not too large together. */
  private static final int LARGE = 16;

  /** What an event weighs beside its keys and values. */
  private static final int EVENT_BYTES = 32;

  private static final String LARGE_VALUES =
      "SELECT id, value FROM log WHERE id IN (?" + ", ?".repeat(LARGE - 1) + ")";

  private LogPages() {}

  /**
   * Which rows are to be read.
   *
   * @param from the first id
   * @param to the id behind the last one
   * @param previous whether to look for the row before, too, in the life of the key
   * @param live whether to find out which rows are those of keys as they are now
   */
  record Scan(KeyRange range, long from, long to, boolean previous, boolean live) {
    private static final KeyRange ALL = new KeyRange(Bytes.EMPTY, null);

    /** The rows of all keys. */
    static Scan of(long from, long to) {
      return new Scan(ALL, from, to, false, false);
    }

    /** The same, with {@link Row#live}. */
    static Scan withLive(long from, long to) {
      return new Scan(ALL, from, to, false, true);
    }
  }

  /** A row, the key as it was before it, and whether the key is as it says to this day. */
  record Row(LogRow log, @Nullable KeyValue previous, boolean live) {
    private int weight() {
      return log.kv().weight() + (previous == null ? 0 : previous.weight());
    }
  }

  /**
   * A part of the rows.
   *
   * @param next the id to go on from; -1 at the end
   */
  record Page(List<Row> rows, long next) {}

  /** A row as it comes, with the sizes of the values that did not come with it. */
  private record Draft(Row row, long missing, long previousMissing) {
    private long weight() {
      return EVENT_BYTES + row.weight() + missing + previousMissing;
    }

    private Row filled(Map<Long, Bytes> values) {
      if (missing == 0 && previousMissing == 0) {
        return row;
      }
      LogRow log = row.log;
      KeyValue previous = row.previous;
      if (missing > 0) {
        log = new LogRow(log.id(), log.prev(), log.created(), with(log.kv(), values.get(log.id())));
      }
      if (previous != null && previousMissing > 0) {
        previous = with(previous, values.get(log.prev()));
      }
      return new Row(log, previous, row.live);
    }

    private static KeyValue with(KeyValue kv, @Nullable Bytes value) {
      if (value == null) {
        throw new IllegalStateException("a value is gone from the snapshot");
      }
      return new KeyValue(
          kv.key(), kv.createRevision(), kv.modRevision(), kv.version(), value, kv.lease());
    }
  }

  /** Reads rows until they weigh {@link #BYTES}. */
  static Page read(Session session, Scan scan) throws SQLException {
    return read(session, scan, BYTES, false, Long.MAX_VALUE);
  }

  /**
   * Reads whole revisions until they weigh {@code bytes}. The last of them may weigh more, but all
   * together no more than {@code most}: if the first one does so alone, the page is empty and to go
   * on from where it began.
   */
  static Page revisions(Session session, Scan scan, int bytes, long most) throws SQLException {
    return read(session, scan, bytes, true, most);
  }

  private static Page read(Session session, Scan scan, int bytes, boolean whole, long most)
      throws SQLException {
    List<Draft> drafts = new ArrayList<>();
    long next = -1;
    long weight = 0;
    long revision = -1;
    try (ResultSet rows = select(session, scan).executeQuery()) {
      while (rows.next()) {
        Draft draft = draft(rows, scan);
        LogRow row = draft.row.log;
        boolean begins = Ids.revision(row.id()) != revision;
        if (weight >= bytes && (begins || !whole)) {
          next = row.id();
          break;
        }
        revision = Ids.revision(row.id());
        weight += draft.weight();
        if (weight > most) {
          next = Ids.first(revision);
          break;
        }
        drafts.add(draft);
      }
    }
    if (whole && next >= 0) {
      while (!drafts.isEmpty() && drafts.getLast().row.log.id() >= next) {
        drafts.removeLast();
      }
    }
    return new Page(filled(session, drafts), next);
  }

  private static PreparedStatement select(Session session, Scan scan) throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT "
                + columns("l")
                + ", l.prev"
                + (scan.previous ? ", " + columns("p") : "")
                + (scan.live ? ", v.id" : "")
                + " FROM log l"
                + (scan.previous ? " LEFT JOIN log p ON p.id = l.prev" : "")
                + (scan.live ? " LEFT JOIN live v ON v.key = l.key AND v.id = l.id" : "")
                + " WHERE l.id >= ? AND l.id < ? AND "
                + Rows.condition("l.key", scan.range)
                + " ORDER BY l.id");
    select.setFetchSize(scan.previous ? FETCH_ROWS / 2 : FETCH_ROWS);
    select.setLong(1, scan.from);
    select.setLong(2, scan.to);
    Rows.bind(select, 3, scan.range);
    return select;
  }

  private static String columns(String table) {
    return """
        %1$s.key, %1$s.id, %1$s.create_revision, %1$s.version, %1$s.lease,
        CASE WHEN octet_length(%1$s.value) <= %2$d THEN %1$s.value END,
        CASE WHEN octet_length(%1$s.value) > %2$d THEN octet_length(%1$s.value) END"""
        .formatted(table, SMALL);
  }

  private static Draft draft(ResultSet rows, Scan scan) throws SQLException {
    KeyValue kv = Rows.keyValue(rows, 1);
    long id = rows.getLong(2);
    long missing = rows.getLong(7);
    KeyValue previous = null;
    long previousMissing = 0;
    // Of version 0 is a deletion, or no row at all.
    if (scan.previous && rows.getLong(12) != 0) {
      previous = Rows.keyValue(rows, 9);
      previousMissing = rows.getLong(15);
    }
    boolean live = scan.live && rows.getLong(scan.previous ? 16 : 9) == id;
    return new Draft(
        new Row(new LogRow(id, rows.getLong(8), kv.createRevision(), kv), previous, live),
        missing,
        previousMissing);
  }

  private static List<Row> filled(Session session, List<Draft> drafts) throws SQLException {
    Map<Long, Long> missing = new LinkedHashMap<>();
    for (Draft draft : drafts) {
      if (draft.missing > 0) {
        missing.put(draft.row.log.id(), draft.missing);
      }
      if (draft.previousMissing > 0) {
        missing.put(draft.row.log.prev(), draft.previousMissing);
      }
    }
    Map<Long, Bytes> values = missing.isEmpty() ? Map.of() : large(session, missing);
    return drafts.stream().map(draft -> draft.filled(values)).toList();
  }

  /** Reads the values of rows whose sizes are known. */
  private static Map<Long, Bytes> large(Session session, Map<Long, Long> sizes)
      throws SQLException {
    Map<Long, Bytes> values = new HashMap<>();
    List<Long> group = new ArrayList<>();
    long weight = 0;
    for (Map.Entry<Long, Long> row : sizes.entrySet()) {
      if (group.size() == LARGE || (!group.isEmpty() && weight + row.getValue() > BYTES)) {
        fetch(session, group, values);
        group.clear();
        weight = 0;
      }
      group.add(row.getKey());
      weight += row.getValue();
    }
    fetch(session, group, values);
    return values;
  }

  private static void fetch(Session session, Collection<Long> ids, Map<Long, Bytes> values)
      throws SQLException {
    PreparedStatement select = session.prepare(LARGE_VALUES);
    int parameter = 1;
    for (long id : ids) {
      select.setLong(parameter++, id);
    }
    while (parameter <= LARGE) {
      select.setLong(parameter++, -1);
    }
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        values.put(rows.getLong(1), Rows.bytes(rows, 2));
      }
    }
  }
}
