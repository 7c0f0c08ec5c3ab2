package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * How values leave the database: never more at once than {@link #RESULT_BYTES}, or one of them.
 *
 * <p>PostgreSQL's driver holds the whole result of a statement, however much of it is wanted. So a
 * row comes with its value if that is not much above what each row of the result may have on
 * average; of a larger value it says the size, which neither database reads the value for, and such
 * values are read afterwards, in groups of {@link #GROUP_BYTES}. Where all values are about as
 * large as was guessed, which is nearly always, a page is one statement.
 */
final class Values {
  /** The bytes of values that a page of rows aims at, and that are read together afterwards. */
  static final long GROUP_BYTES = 1 << 20;

  /** The bytes of values that come with all rows of a statement together, at the most. */
  static final long RESULT_BYTES = 4 * GROUP_BYTES;

  private static final int GROUP_VALUES = 256;

  /** A value that is still to be read, and to become that of the key at a place of an answer. */
  record Later(int place, long id, int size) {}

  private Values() {}

  /**
   * The columns of a row: key, id, create_revision, version, lease, and what there is to know of
   * the value, which has a parameter.
   *
   * @param from the table of the first five
   */
  static String columns(String from, boolean keysOnly) {
    String columns = "$.key, $.id, $.create_revision, $.version, $.lease".replace("$", from);
    return keysOnly
        ? columns
        : columns
            + ", CASE WHEN octet_length(l.value) <= ? THEN l.value END, octet_length(l.value)";
  }

  /** The parameter of {@link #columns} in a statement that answers up to {@code rows} rows. */
  static long largest(long rows) {
    return RESULT_BYTES / Math.max(1, rows);
  }

  /** Adds a row to what has been read; answers its key. */
  static Bytes add(ResultSet row, boolean keysOnly, Collector into) throws SQLException {
    Bytes key = Rows.bytes(row, 1);
    long id = row.getLong(2);
    byte[] value = keysOnly ? null : row.getBytes(6);
    KeyValue kv =
        new KeyValue(
            key,
            row.getLong(3),
            Ids.revision(id),
            row.getLong(4),
            value == null ? Bytes.EMPTY : Bytes.of(value),
            row.getLong(5));
    int size = value == null && !keysOnly ? row.getInt(7) : 0;
    if (size > 0) {
      into.add(kv, id, size);
    } else {
      into.add(kv);
    }
    return key;
  }

  /** How many of {@code values}, from the first on, are to be read together. */
  static int group(List<Later> values) {
    long bytes = 0;
    int count = 0;
    while (count < Math.min(values.size(), GROUP_VALUES)) {
      bytes += values.get(count).size;
      if (count > 0 && bytes > GROUP_BYTES) {
        break;
      }
      count++;
    }
    return count;
  }

  /** Reads a group of values; answers them by their ids. */
  static Map<Long, Bytes> read(Session session, List<Later> group) throws SQLException {
    // Few statements that differ: places that are left are filled with the last id.
    int marks = group.size() == 1 ? 1 : Integer.highestOneBit(group.size() - 1) << 1;
    PreparedStatement select =
        session.prepare("SELECT id, value FROM log WHERE id IN (?" + ", ?".repeat(marks - 1) + ")");
    for (int i = 0; i < marks; i++) {
      select.setLong(i + 1, group.get(Math.min(i, group.size() - 1)).id);
    }
    Map<Long, Bytes> values = HashMap.newHashMap(group.size());
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        values.put(rows.getLong(1), Rows.bytes(rows, 2));
      }
    }
    return values;
  }
}
