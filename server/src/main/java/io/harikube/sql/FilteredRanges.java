package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Comparator;
import java.util.List;
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
 *
 * <p>How long a statement gets does not depend on who asks: see {@link #asFarAsItGoes}.
 */
final class FilteredRanges {
  /** Up to so many keys are counted, and up to so many are sorted. */
  private static final int FEW = 1000;

  /** More values than this are looked up by key. */
  private static final int MAX_ARMS = 50;

  /** More requirements than this are not looked at. */
  private static final int MAX_REQUIREMENTS = 16;

  private static final Requirement UNKNOWN =
      new Requirement(AttributeName.UNKNOWN, Operator.IN, List.of(""), 0);

  private static final List<String> NOW = List.of("attribute");
  private static final List<String> THEN = List.of("attribute", "attribute_past");

  private final Session session;
  private final KeyRange range;
  private final Filter filter;
  private final long revision;

  /** The first id behind the revision; 0 for the current one. */
  private final long end;

  private FilteredRanges(Session session, KeyRange range, Filter filter, long revision) {
    this.session = session;
    this.range = range;
    this.filter = filter;
    this.revision = revision;
    this.end = revision == 0 ? 0 : Ids.first(revision + 1);
  }

  /**
   * What of a filter goes into a statement: a filter that matches the same and more. Requirements
   * that say what is there leave out more than those that say what is not.
   */
  static Filter asFarAsItGoes(Filter filter) {
    List<Requirement> all = filter.requirements();
    if (all.size() <= MAX_REQUIREMENTS) {
      return filter;
    }
    return new Filter(
        all.stream()
            .sorted(Comparator.comparing(requirement -> negative(requirement.operator())))
            .limit(MAX_REQUIREMENTS)
            .toList(),
        filter.keyEnd());
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
    Sql page = new FilteredRanges(session, range, filter, revision).page(limit, keysOnly);
    return Ranges.read(session, page, range, limit, keysOnly, into);
  }

  /** The statement of a page, for those who look at how the database does it. */
  static PreparedStatement explain(
      Session session, String explain, KeyRange range, Filter filter, long revision, long limit)
      throws SQLException {
    Sql page = new FilteredRanges(session, range, filter, revision).page(limit, false);
    return Sql.of(explain).add(page).prepare(session);
  }

  private Sql page(long limit, boolean keysOnly) throws SQLException {
    Sql keys = keys().add(" ORDER BY key LIMIT ?", limit);
    return end == 0
        ? current(keys, limit, keysOnly)
        : Ranges.changes(revision, limit, keysOnly, heads(keys, limit));
  }

  private static Sql current(Sql keys, long limit, boolean keysOnly) {
    return Ranges.columns("v", keysOnly, limit)
        .add(" FROM (")
        .add(keys)
        .add(") w CROSS JOIN live v")
        .add(
            keysOnly
                ? " WHERE v.key = w.key"
                : " CROSS JOIN log l WHERE v.key = w.key AND l.id = v.id")
        .add(" ORDER BY w.key");
  }

  /**
   * As {@link Ranges#heads}, of keys that were there. The limit keeps PostgreSQL from putting the
   * look for the head into each place that names it.
   */
  private Sql heads(Sql keys, long limit) {
    return Sql.of("SELECT w.key, coalesce(")
        .add("(SELECT v.id FROM live v WHERE v.key = w.key AND v.create_revision <= ?), ", revision)
        .add("(SELECT min(t.id) FROM log t WHERE t.version = 0 AND t.key = w.key")
        .add(" AND t.create_revision <= ? AND t.id >= ?)) AS id FROM (", revision, end)
        .add(keys)
        .add(") w ORDER BY w.key LIMIT ?", limit);
  }

  private Sql keys() throws SQLException {
    Requirement driver = driver();
    if (driver == null) {
      return walk();
    }
    Sql arms = new Sql();
    for (String value : driver.values()) {
      arms.add(arms(driver, value, driver)).add(" UNION ALL ");
    }
    if (driver.operator() == Operator.PRESENT) {
      arms.add(arms(driver, null, driver)).add(" UNION ALL ");
    }
    arms.add(arms(UNKNOWN, "", null));
    return Sql.of("SELECT key FROM (").add(arms).add(") d");
  }

  /** All keys of the range, each looked up. */
  private Sql walk() {
    Sql keys =
        end == 0
            ? Sql.of("SELECT d.key FROM live d WHERE ").in("d.key", range)
            : Sql.of("SELECT d.key FROM (")
                .add(Ranges.heads(range, revision))
                .add(") d WHERE 1 = 1");
    keys.add(keyEnd()).add(" AND (1 = 1");
    filter.requirements().forEach(requirement -> keys.add(probe(requirement)));
    return keys.add(" OR ").add(exists(UNKNOWN, true)).add(")");
  }

  /**
   * The keys that have an attribute, now or then, and meet the other requirements.
   *
   * @param value null for any value
   * @param driver the requirement that needs no more look; null to look at none
   */
  private Sql arms(Requirement by, @Nullable String value, @Nullable Requirement driver) {
    Sql arms = new Sql();
    String union = "";
    for (String table : tables()) {
      Sql arm = Sql.of("SELECT d.key FROM " + table + " d WHERE d.name = ?", Rows.bytes(by.name()));
      if (value != null) {
        arm.add(" AND d.value = ?", Rows.bytes(value));
      }
      arm.add(" AND ").in("d.key", range).add(keyEnd()).add(held("d", table));
      if (driver != null) {
        for (Requirement requirement : filter.requirements()) {
          if (!requirement.equals(driver)) {
            arm.add(probe(requirement));
          }
        }
      }
      arms.add(union).add(Ranges.inOrder(arm));
      union = " UNION ALL ";
    }
    return arms;
  }

  private List<String> tables() {
    return end == 0 ? NOW : THEN;
  }

  /** The condition on the end of a key; a shorter key is cut to something else or to itself. */
  private Sql keyEnd() {
    return filter.keyEnd().isEmpty()
        ? new Sql()
        : Sql.of(
            " AND substr(d.key, CAST(length(d.key) - ? + 1 AS integer)) = ?",
            (long) filter.keyEnd().size(),
            filter.keyEnd().array());
  }

  /** The condition that a row of a table of attributes held at the revision. */
  private Sql held(String alias, String table) {
    if (end == 0) {
      return new Sql();
    }
    Sql held = Sql.of(" AND " + alias + ".from_id < ?", end);
    return table.equals("attribute") ? held : held.add(" AND " + alias + ".to_id >= ?", end);
  }

  private Sql probe(Requirement requirement) {
    return Sql.of(" AND ").add(exists(requirement, !negative(requirement.operator())));
  }

  private static boolean negative(Operator operator) {
    return operator == Operator.NOT_IN || operator == Operator.ABSENT;
  }

  private Sql exists(Requirement requirement, boolean wanted) {
    Sql exists = Sql.of(wanted ? "(" : "NOT (");
    String or = "";
    for (String table : tables()) {
      exists
          .add(or + "EXISTS (SELECT 1 FROM " + table + " p WHERE p.key = d.key")
          .add(" AND p.name = ?", Rows.bytes(requirement.name()))
          .add(of(requirement))
          .add(held("p", table))
          .add(")");
      or = " OR ";
    }
    return exists.add(")");
  }

  /** The condition on an attribute of the name, be it one that a requirement wants or does not. */
  private Sql of(Requirement requirement) {
    return switch (requirement.operator()) {
      case IN, NOT_IN -> Sql.of(" AND ").add(oneOf(requirement.values()));
      case ABSENT ->
          requirement.values().isEmpty()
              ? new Sql()
              : Sql.of(" AND NOT (").add(oneOf(requirement.values())).add(")");
      case ABOVE -> Sql.of(" AND p.number > ?", requirement.number());
      case BELOW -> Sql.of(" AND p.number < ?", requirement.number());
      case PRESENT -> new Sql();
    };
  }

  private Sql oneOf(List<String> values) {
    return values.size() == 1
        ? Sql.of("p.value = ?", Rows.bytes(values.getFirst()))
        : new Sql().in("p.value", session.many(values.stream().map(Rows::bytes).toList()));
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
    long count = 0;
    for (String value : any ? List.of("") : requirement.values()) {
      Sql keys = Sql.of("SELECT 1 FROM attribute WHERE name = ?", Rows.bytes(requirement.name()));
      if (!any) {
        keys.add(" AND value = ?", Rows.bytes(value));
      }
      keys.add(" AND ").in("key", range).add(" LIMIT " + FEW);
      Sql select = Sql.of("SELECT count(*) FROM (").add(keys).add(") c");
      try (ResultSet rows = select.prepare(session).executeQuery()) {
        rows.next();
        count += rows.getLong(1);
      }
    }
    return count;
  }
}
