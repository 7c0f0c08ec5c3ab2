package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** A piece of SQL with the parameters of its question marks, which go where it goes. */
final class Sql {
  private final StringBuilder text = new StringBuilder();
  private final List<Object> parameters = new ArrayList<>();

  static Sql of(String text, Object... values) {
    return new Sql().add(text, values);
  }

  /**
   * Adds text.
   *
   * @param values one for each question mark: {@code byte[]} or {@code Long}
   */
  Sql add(String more, Object... values) {
    text.append(more);
    parameters.addAll(List.of(values));
    return this;
  }

  Sql add(Sql piece) {
    text.append(piece.text);
    parameters.addAll(piece.parameters);
    return this;
  }

  /** Adds the condition that {@code column} is in {@code range}. */
  Sql in(String column, KeyRange range) {
    add(Rows.condition(column, range), range.start().array());
    Bytes end = range.end();
    if (end != null) {
      parameters.add(end.array());
    }
    return this;
  }

  /** Adds the condition that {@code column}, of bytes, has one of many values. */
  Sql in(String column, ManyValues values) {
    text.append(column).append(' ');
    parameters.add(values);
    return add(values.condition());
  }

  PreparedStatement prepare(Session session) throws SQLException {
    PreparedStatement statement = session.prepare(text.toString());
    for (int i = 0; i < parameters.size(); i++) {
      switch (parameters.get(i)) {
        case byte[] bytes -> statement.setBytes(i + 1, bytes);
        case Long number -> statement.setLong(i + 1, number);
        case ManyValues values -> values.bind(statement, i + 1);
        default -> throw new IllegalArgumentException("a parameter of another type");
      }
    }
    return statement;
  }
}
