package io.harikube.sql;

import java.nio.LongBuffer;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** What is copied from the one store to the other, besides the pages of the log. */
final class StoreCopy {
  private static final int FETCH_ROWS = 1000;
  private static final int INSERTS = 1000;

  private StoreCopy() {}

  /**
   * The state of a store at its revision.
   *
   * @param leases of each three numbers: id, time to live, time of its end
   */
  record State(Meta meta, LongBuffer leases) {}

  static State state(Session session, Meta meta) throws SQLException {
    long[] leases = new long[3 * 64];
    int filled = 0;
    PreparedStatement select = session.prepare("SELECT id, ttl, expires_at FROM lease");
    select.setFetchSize(FETCH_ROWS);
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        if (filled == leases.length) {
          leases = Arrays.copyOf(leases, 2 * filled);
        }
        for (int column = 1; column <= 3; column++) {
          leases[filled++] = rows.getLong(column);
        }
      }
    }
    return new State(meta, LongBuffer.wrap(leases, 0, filled));
  }

  /** Makes {@code state} that of a store that has none yet. */
  static void insert(Session target, State state) throws SQLException {
    PreparedStatement insert =
        target.prepare(
            "INSERT INTO meta (revision, compacted, compacting, compact_cursor, cluster_id,"
                + " member_id, one, schema_version, writer, epoch, commits, indexed)"
                + " VALUES (?, ?, ?, ?, ?, ?, 1, "
                + Schema.VERSION
                + ", 0, 0, 0, -1)");
    bind(insert, state.meta);
    insert.executeUpdate();
    insertLeases(target, state.leases);
  }

  /** Makes {@code state} that of an empty store; it is not known which attributes its keys have. */
  static void update(Session target, State state) throws SQLException {
    PreparedStatement update =
        target.prepare(
            "UPDATE meta SET revision = ?, compacted = ?, compacting = ?, compact_cursor = ?,"
                + " cluster_id = ?, member_id = ?, indexed = -1");
    bind(update, state.meta);
    update.executeUpdate();
    insertLeases(target, state.leases);
  }

  private static void bind(PreparedStatement statement, Meta meta) throws SQLException {
    statement.setLong(1, meta.revision());
    statement.setLong(2, meta.compacted());
    statement.setLong(3, meta.compacting());
    statement.setLong(4, meta.compactCursor());
    statement.setLong(5, meta.clusterId());
    statement.setLong(6, meta.memberId());
  }

  private static void insertLeases(Session target, LongBuffer leases) throws SQLException {
    PreparedStatement insert =
        target.prepare("INSERT INTO lease (id, ttl, expires_at) VALUES (?, ?, ?)");
    for (int i = 0; i < leases.limit(); i += 3) {
      insert.setLong(1, leases.get(i));
      insert.setLong(2, leases.get(i + 1));
      insert.setLong(3, leases.get(i + 2));
      insert.addBatch();
      if (i / 3 % INSERTS == INSERTS - 1) {
        insert.executeBatch();
      }
    }
    insert.executeBatch();
  }

  /** Writes a page of the log, and the keys as they are after it. */
  static void write(Dialect dialect, Session target, LogPages.Page page) throws SQLException {
    Map<Object, LogRow> live = new LinkedHashMap<>();
    for (LogPages.Row row : page.rows()) {
      live.put(row.log().kv().key(), row.log());
    }
    if (!live.isEmpty()) {
      dialect.write(
          target,
          new Changes(
              page.rows().stream().map(LogPages.Row::log).toList(),
              live.values(),
              new AttributeChanges()));
    }
  }
}
