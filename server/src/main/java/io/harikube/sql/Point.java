package io.harikube.sql;

import io.harikube.store.Bytes;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What one statement says of one key.
 *
 * @param revision the current one
 * @param compacted -1 if nothing has been compacted
 * @param head null if there is no such key
 */
record Point(long revision, long compacted, @Nullable Head head) implements Readers.Answer {
  private static final String SELECT =
      """
      SELECT m.revision, m.compacted, v.id, v.create_revision, v.version, v.lease, l.value
      FROM meta m LEFT JOIN live v ON v.key = ? LEFT JOIN log l ON l.id = v.id""";

  static Point read(Session session, Bytes key) throws SQLException {
    PreparedStatement select = session.prepare(SELECT);
    select.setBytes(1, key.array());
    try (ResultSet rows = select.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the table meta is empty");
      }
      long id = rows.getLong(3);
      return new Point(
          rows.getLong(1),
          rows.getLong(2),
          id == 0 ? null : new Head(id, Rows.keyValue(key, rows, 3)));
    }
  }

  /** Reads keys, each with a statement of its own. */
  static Points.Found readEach(Session session, List<Bytes> keys) throws SQLException {
    List<@Nullable Point> points = new ArrayList<>(keys.size());
    for (Bytes key : keys) {
      points.add(read(session, key));
    }
    return new Points.Found(Objects.requireNonNull(points.getFirst()).revision(), points);
  }
}
