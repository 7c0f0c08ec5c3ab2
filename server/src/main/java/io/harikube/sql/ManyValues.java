package io.harikube.sql;

import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.HexFormat;
import java.util.List;
import java.util.StringJoiner;

/**
 * Any number of values as one parameter, so that there is one statement for all numbers of them.
 */
sealed interface ManyValues {

  /** What follows a column that is to have one of them. */
  String condition();

  void bind(PreparedStatement statement, int index) throws SQLException;

  /** For PostgreSQL. */
  record Array(List<byte[]> values) implements ManyValues {
    @Override
    public String condition() {
      return "= ANY (?)";
    }

    @Override
    public void bind(PreparedStatement statement, int index) throws SQLException {
      byte[][] array = values.toArray(byte[][]::new);
      statement.setArray(index, statement.getConnection().createArrayOf("bytea", array));
    }
  }

  /** For SQLite, whose JSON is of text: the values are in hexadecimal digits. */
  record Json(List<byte[]> values) implements ManyValues {
    @Override
    public String condition() {
      return "IN (SELECT unhex(value) FROM json_each(?))";
    }

    @Override
    public void bind(PreparedStatement statement, int index) throws SQLException {
      StringJoiner json = new StringJoiner("\",\"", "[\"", "\"]");
      json.setEmptyValue("[]");
      values.forEach(value -> json.add(HexFormat.of().formatHex(value)));
      statement.setString(index, json.toString());
    }
  }
}
