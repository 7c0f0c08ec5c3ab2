package io.harikube.sql;

import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/**
 * Ranges with a filter, in SQL.
 *
 * <p>A page is found in two steps: the keys, in their order and no more than fit, and then what
 * they hold. The keys come from one requirement that names values (or a name that few keys have),
 * the one with the fewest keys, out of the index of attributes; the other requirements are looked
 * up by key. Where no requirement names anything the range is walked. How many keys a requirement
 * has is counted up to a bound, each time: no statistics that grow old.
 *
 * <p>For an old revision the same, over the attributes that held then.
 */
final class FilteredRanges {
  /** Up to so many keys are counted, and up to so many are sorted. */
  private static final int FEW = 1000;

  /** More values than this are looked up by key. */
  private static final int MAX_ARMS = 50;

  private static final Requirement UNKNOWN =
      new Requirement(Attributes.unknownName(), Operator.IN, List.of(""), 0);

  private final Session session;
  private final KeyRange range;
  private final Filter filter;

  /** The first id behind the revision; 0 for the current one. */
  private final long end;

  private final long revision;

  /** The statement of the keys as it grows; the parameters are those of all of the statement. */
  private final StringBuilder sql = new StringBuilder();

  private final List<Object> parameters = new ArrayList<>();

  private FilteredRanges(Session session, KeyRange range, Filter filter, long revision) {
    this.session = session;
    this.range = range;
    this.filter = filter;
    this.revision = revision;
    this.end = revision == 0 ? 0 : Ids.first(revision + 1);
  }

  /**
   * As {@link Ranges#live} and {@link Ranges#history}, of the keys that the filter matches, or did,
   * or whose values are not understood.
   *
   * @param revision 0 for the current one
   */
  static @Nullable KeyRange page(
      Session session,
      KeyRange range,
      long revision,
      long limit,
      boolean keysOnly,
      Filter filter,
      Collector into)
      throws SQLException {
    PreparedStatement select = page(session, "", range, filter, revision, limit, keysOnly);
    return Ranges.read(session, select, range, limit, keysOnly, into);
  }

  /** The statement of a page, for those who look at how the database does it. */
  static PreparedStatement explain(
      Session session, String explain, KeyRange range, Filter filter, long revision, long limit)
      throws SQLException {
    return page(session, explain, range, filter, revision, limit, false);
  }

  private static PreparedStatement page(
      Session session,
      String explain,
      KeyRange range,
      Filter filter,
      long revision,
      long limit,
      boolean keysOnly)
      throws SQLException {
    FilteredRanges search = new FilteredRanges(session, range, filter, revision);
    if (!keysOnly) {
      search.parameters.add(Values.largest(limit));
    }
    if (revision == 0) {
      search.keys(limit);
      return search.prepare(explain + current(keysOnly, search.sql));
    }
    search.parameters.addAll(
        List.of(search.end, search.end, revision, revision, search.end)); // as they come below
    search.keys(limit);
    search.parameters.add(limit);
    return search.prepare(explain + Ranges.changes(keysOnly, heads(search.sql)));
  }

  private static String current(boolean keysOnly, CharSequence keys) {
    return "SELECT "
        + Values.columns("v", keysOnly)
        + " FROM ("
        + keys
        + ") w CROSS JOIN live v"
        + (keysOnly
            ? " WHERE v.key = w.key"
            : " CROSS JOIN log l WHERE v.key = w.key AND l.id = v.id")
        + " ORDER BY w.key";
  }

  /**
   * As {@link Ranges#heads}, of keys that were there. The limit keeps PostgreSQL from putting the
   * look for the head into each place that names it.
   */
  private static String heads(CharSequence keys) {
    return "SELECT w.key, coalesce("
        + "(SELECT v.id FROM live v WHERE v.key = w.key AND v.create_revision <= ?), "
        + "(SELECT min(t.id) FROM log t WHERE t.version = 0 AND t.key = w.key"
        + " AND t.create_revision <= ? AND t.id >= ?)) AS id FROM ("
        + keys
        + ") w ORDER BY w.key LIMIT ?";
  }

  private PreparedStatement prepare(String text) throws SQLException {
    PreparedStatement statement = session.prepare(text);
    int index = 1;
    for (Object parameter : parameters) {
      if (parameter instanceof byte[] bytes) {
        statement.setBytes(index++, bytes);
      } else {
        statement.setLong(index++, (Long) parameter);
      }
    }
    return statement;
  }

  private void keys(long limit) throws SQLException {
    Requirement driver = driver();
    if (driver == null) {
      walk();
    } else {
      StringJoiner arms = new StringJoiner(" UNION ALL ");
      if (driver.operator() == Operator.PRESENT) {
        arms(arms, driver, null, driver);
      } else {
        for (String value : driver.values()) {
          arms(arms, driver, value, driver);
        }
      }
      arms(arms, UNKNOWN, "", null);
      sql.append("SELECT key FROM (").append(arms).append(") d");
    }
    sql.append(" ORDER BY key LIMIT ?");
    parameters.add(limit);
  }

  /** All keys of the range, each looked up. */
  private void walk() {
    if (end == 0) {
      sql.append("SELECT d.key FROM live d WHERE ");
      range("d.key");
    } else {
      sql.append("SELECT d.key FROM (").append(Ranges.heads(range)).append(") d WHERE 1 = 1");
      for (int arm = 0; arm < 2; arm++) {
        addRange();
        parameters.add(revision);
      }
      parameters.add(end);
    }
    end(sql);
    sql.append(" AND (");
    StringBuilder probes = new StringBuilder("1 = 1");
    filter.requirements().forEach(requirement -> probe(probes, requirement));
    sql.append(probes).append(" OR ");
    StringBuilder unknown = new StringBuilder();
    exists(unknown, UNKNOWN, true);
    sql.append(unknown).append(')');
  }

  /**
   * The keys that have an attribute, now or then, and meet the other requirements.
   *
   * @param value null for any value
   * @param driver the requirement that needs no more look; null to look at none
   */
  private void arms(
      StringJoiner arms, Requirement by, @Nullable String value, @Nullable Requirement driver) {
    for (String table : end == 0 ? List.of("attribute") : List.of("attribute", "attribute_past")) {
      StringBuilder arm =
          new StringBuilder("SELECT d.key FROM ").append(table).append(" d WHERE d.name = ?");
      parameters.add(Rows.bytes(by.name()));
      if (value != null) {
        arm.append(" AND d.value = ?");
        parameters.add(Rows.bytes(value));
      }
      arm.append(" AND ").append(Rows.condition("d.key", range));
      addRange();
      end(arm);
      arm.append(held("d", table));
      if (driver != null) {
        for (Requirement requirement : filter.requirements()) {
          if (!requirement.equals(driver)) {
            probe(arm, requirement);
          }
        }
      }
      arms.add(Ranges.inOrder(arm.toString()));
    }
  }

  /** The condition on the end of a key; a shorter key is cut to something else or to itself. */
  private void end(StringBuilder to) {
    if (!filter.keyEnd().isEmpty()) {
      to.append(" AND substr(d.key, CAST(length(d.key) - ? + 1 AS integer)) = ?");
      parameters.add((long) filter.keyEnd().size());
      parameters.add(filter.keyEnd().array());
    }
  }

  /** The condition that a row of a table of attributes held at the revision. */
  private String held(String alias, String table) {
    if (end == 0) {
      return "";
    }
    parameters.add(end);
    if (table.equals("attribute")) {
      return " AND " + alias + ".from_id < ?";
    }
    parameters.add(end);
    return " AND " + alias + ".from_id < ? AND " + alias + ".to_id >= ?";
  }

  private void probe(StringBuilder to, Requirement requirement) {
    to.append(" AND ");
    exists(to, requirement, !negative(requirement.operator()));
  }

  private static boolean negative(Operator operator) {
    return operator == Operator.NOT_IN || operator == Operator.ABSENT;
  }

  private void exists(StringBuilder to, Requirement requirement, boolean wanted) {
    to.append(wanted ? "(" : "NOT (");
    String or = "";
    for (String table : end == 0 ? List.of("attribute") : List.of("attribute", "attribute_past")) {
      to.append(or)
          .append("EXISTS (SELECT 1 FROM ")
          .append(table)
          .append(" p WHERE p.key = d.key AND p.name = ?");
      parameters.add(Rows.bytes(requirement.name()));
      switch (requirement.operator()) {
        case IN, NOT_IN -> to.append(" AND p.value IN ").append(values(requirement));
        case ABSENT -> {
          if (!requirement.values().isEmpty()) {
            to.append(" AND p.value NOT IN ").append(values(requirement));
          }
        }
        case ABOVE -> {
          to.append(" AND p.number > ?");
          parameters.add(requirement.number());
        }
        case BELOW -> {
          to.append(" AND p.number < ?");
          parameters.add(requirement.number());
        }
        case PRESENT -> {}
      }
      to.append(held("p", table)).append(')');
      or = " OR ";
    }
    to.append(')');
  }

  private String values(Requirement requirement) {
    StringJoiner marks = new StringJoiner(", ", "(", ")");
    for (String value : requirement.values()) {
      marks.add("?");
      parameters.add(Rows.bytes(value));
    }
    return marks.toString();
  }

  private void range(String column) {
    sql.append(Rows.condition(column, range));
    addRange();
  }

  private void addRange() {
    parameters.add(range.start().array());
    Bytes last = range.end();
    if (last != null) {
      parameters.add(last.array());
    }
  }

  /** The requirement whose keys are looked at; null if none names few enough of them. */
  private @Nullable Requirement driver() throws SQLException {
    List<Requirement> candidates =
        filter.requirements().stream()
            .filter(
                requirement ->
                    requirement.operator() == Operator.PRESENT
                        || (requirement.operator() == Operator.IN
                            && requirement.values().size() <= MAX_ARMS))
            .toList();
    if (candidates.size() == 1 && candidates.getFirst().operator() == Operator.IN) {
      return candidates.getFirst();
    }
    Requirement best = null;
    long least = Long.MAX_VALUE;
    for (Requirement candidate : candidates) {
      long keys = count(candidate);
      boolean ordered = candidate.operator() == Operator.IN;
      if (keys < least && (ordered || keys < FEW)) {
        best = candidate;
        least = keys;
      }
    }
    return best;
  }

  private long count(Requirement requirement) throws SQLException {
    boolean any = requirement.operator() == Operator.PRESENT;
    PreparedStatement select =
        session.prepare(
            "SELECT count(*) FROM (SELECT 1 FROM attribute WHERE name = ?"
                + (any ? "" : " AND value = ?")
                + " AND "
                + Rows.condition("key", range)
                + " LIMIT "
                + FEW
                + ") c");
    long count = 0;
    for (String value : any ? List.of("") : requirement.values()) {
      select.setBytes(1, Rows.bytes(requirement.name()));
      if (!any) {
        select.setBytes(2, Rows.bytes(value));
      }
      Rows.bind(select, any ? 2 : 3, range);
      try (ResultSet rows = select.executeQuery()) {
        rows.next();
        count += rows.getLong(1);
      }
    }
    return count;
  }
}
