package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/** Keys, values and ranges on their way into statements and out of results. */
final class Rows {
  private Rows() {}

  /** The condition that {@code column} is in {@code range}; {@link #bind} sets its parameters. */
  static String condition(String column, KeyRange range) {
    return range.end() == null ? column + " >= ?" : column + " >= ? AND " + column + " < ?";
  }

  /** Sets the parameters of {@link #condition} from {@code index} on; answers the next index. */
  static int bind(PreparedStatement statement, int index, KeyRange range) throws SQLException {
    statement.setBytes(index, range.start().array());
    Bytes end = range.end();
    if (end == null) {
      return index + 1;
    }
    statement.setBytes(index + 1, end.array());
    return index + 2;
  }

  static byte[] bytes(AttributeName name) {
    return bytes(name.text());
  }

  static AttributeName name(ResultSet rows, int column) throws SQLException {
    return new AttributeName(text(rows, column));
  }

  /** A name or value of an attribute: text is kept as bytes, so that no collation touches it. */
  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(ResultSet rows, int column) throws SQLException {
    byte[] array = rows.getBytes(column);
    return array == null ? "" : new String(array, StandardCharsets.UTF_8);
  }

  static Bytes bytes(ResultSet rows, int column) throws SQLException {
    byte[] array = rows.getBytes(column);
    return array == null ? Bytes.EMPTY : Bytes.of(array);
  }

  /** Reads key, id, create_revision, version, lease and value from six columns. */
  static KeyValue keyValue(ResultSet rows, int column) throws SQLException {
    return keyValue(bytes(rows, column), rows, column + 1);
  }

  /** Reads id, create_revision, version, lease and value from five columns. */
  static KeyValue keyValue(Bytes key, ResultSet rows, int column) throws SQLException {
    return new KeyValue(
        key,
        rows.getLong(column + 1),
        Ids.revision(rows.getLong(column)),
        rows.getLong(column + 2),
        bytes(rows, column + 4),
        rows.getLong(column + 3));
  }
}
