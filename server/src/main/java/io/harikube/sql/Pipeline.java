package io.harikube.sql;

import java.sql.Array;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Statements that go to PostgreSQL together, and are answered together: one round trip. The
 * database passes over what follows a statement that it refuses.
 */
final class Pipeline {
  private final List<String> statements = new ArrayList<>();
  private final List<Object> parameters = new ArrayList<>();

  /**
   * Adds a statement.
   *
   * @param values its parameters: arrays and numbers
   */
  Pipeline add(String statement, Object... values) {
    statements.add(statement);
    Collections.addAll(parameters, values);
    return this;
  }

  /** Sends them; the first answer is at hand. */
  PreparedStatement send(Session session) throws SQLException {
    PreparedStatement all = session.prepare(String.join(";\n", statements));
    for (int i = 0; i < parameters.size(); i++) {
      if (parameters.get(i) instanceof Array array) {
        all.setArray(i + 1, array);
      } else {
        all.setLong(i + 1, (Long) parameters.get(i));
      }
    }
    all.execute();
    return all;
  }
}
