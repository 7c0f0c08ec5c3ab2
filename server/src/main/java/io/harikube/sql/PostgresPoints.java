package io.harikube.sql;

import io.harikube.store.Bytes;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Single keys on PostgreSQL, where a statement costs ten times what it costs to read one key more
 * with it.
 */
final class PostgresPoints {
  /** More statements at the same time are of no use. */
  private static final int STATEMENTS = 2;

  static final int MOST_KEYS = 64;

  /** In bytes. Larger values are left to {@link Point}, one at a time. */
  private static final int LARGEST = 16 << 10;

  /** The value of a key that there is comes as null if it is too large. */
  private static final String SELECT =
      """
      SELECT m.revision, m.compacted, v.key, v.id, v.create_revision, v.version, v.lease,
        (SELECT CASE WHEN octet_length(l.value) <= %d THEN l.value END FROM log l WHERE l.id = v.id)
      FROM meta m LEFT JOIN live v ON v.key = ANY (?)"""
          .formatted(LARGEST);

  private PostgresPoints() {}

  /** How many of so many connections for reading are for single keys alone. */
  static int connections(int readers) {
    return Math.min(STATEMENTS, readers / 2);
  }

  static Points.Found read(Session session, List<Bytes> keys) throws SQLException {
    PreparedStatement select = session.prepare(SELECT);
    byte[][] wanted = keys.stream().map(Bytes::array).toArray(byte[][]::new);
    select.setArray(1, session.connection().createArrayOf("bytea", wanted));
    Map<Bytes, Head> heads = new HashMap<>();
    Set<Bytes> tooLarge = new HashSet<>();
    long revision;
    long compacted;
    try (ResultSet rows = select.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the table meta is empty");
      }
      do {
        revision = rows.getLong(1);
        compacted = rows.getLong(2);
        long id = rows.getLong(4);
        if (id != 0) {
          Bytes key = Rows.bytes(rows, 3);
          if (rows.getBytes(8) == null) {
            tooLarge.add(key);
          } else {
            heads.put(key, new Head(id, Rows.keyValue(key, rows, 4)));
          }
        }
      } while (rows.next());
    }
    List<@Nullable Point> points = new ArrayList<>(keys.size());
    for (Bytes key : keys) {
      points.add(tooLarge.contains(key) ? null : new Point(revision, compacted, heads.get(key)));
    }
    return new Points.Found(revision, points);
  }
}
