package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * A key as it is now, with the id of the row of the log that made it so.
 *
 * @param complete whether it has its value; a large one may have been left in the database
 */
record Head(long id, KeyValue kv, boolean complete) {
  Head(long id, KeyValue kv) {
    this(id, kv, true);
  }

  /** Reads id, create_revision, version, lease and value from five columns; null for no value. */
  static Head read(Bytes key, ResultSet rows, int column) throws SQLException {
    KeyValue kv = Rows.keyValue(key, rows, column);
    boolean complete = !kv.value().isEmpty() || rows.getObject(column + 4) != null;
    return new Head(rows.getLong(column), kv, complete);
  }
}
