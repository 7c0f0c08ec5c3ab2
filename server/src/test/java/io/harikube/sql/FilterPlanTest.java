package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.AttributeName;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.Txn;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** How the databases find keys: never by looking at a whole table, or at more than a page of it. */
@OnSqlDatabases
final class FilterPlanTest {
  private static final int KEYS = 3000;

  private final Database database;
  @AutoClose private final TestStore store;

  FilterPlanTest(Database database) {
    this.database = database;
    store = database.open();
    for (int i = 0; i < KEYS; i += 100) {
      store.txn(
          IntStream.range(i, i + 100)
              .mapToObj(k -> Ops.put("p/" + k, "{name=" + k + ";half=" + k % 2 + "}"))
              .toArray(Txn.Op[]::new));
    }
    for (int i = 0; i < KEYS; i += 100) {
      store.txn(
          IntStream.range(i, i + 100)
              .mapToObj(k -> Ops.put("p/" + k, "{name=" + k + ";half=" + (k + 1) % 2 + "}"))
              .toArray(Txn.Op[]::new));
    }
  }

  private interface Statement {
    PreparedStatement prepare(Session session, String explain) throws SQLException;
  }

  private Function<List<byte[]>, ManyValues> many() {
    return database == Database.SQLITE ? ManyValues.Json::new : ManyValues.Array::new;
  }

  /** How the server's connections would do it, without statistics of the tables and with them. */
  private List<String> plans(Statement statement) throws SQLException {
    try (Session session = new Session(store.connect(), many())) {
      if (database == Database.SQLITE) {
        return List.of(text(statement.prepare(session, "EXPLAIN QUERY PLAN ")));
      }
      session.execute(PostgresConnector.SESSION_PLANS);
      String young = text(statement.prepare(session, "EXPLAIN "));
      session.execute("ANALYZE");
      return List.of(young, text(statement.prepare(session, "EXPLAIN  ")));
    }
  }

  private List<String> plans(long revision, Requirement... requirements) throws SQLException {
    return plans(
        (session, explain) ->
            FilteredRanges.explain(
                session,
                explain,
                Ops.prefix("p/"),
                new Filter(Arrays.asList(requirements)),
                revision,
                100));
  }

  private String text(PreparedStatement explain) throws SQLException {
    StringBuilder plan = new StringBuilder();
    try (ResultSet rows = explain.executeQuery()) {
      while (rows.next()) {
        plan.append(rows.getString(database == Database.SQLITE ? 4 : 1)).append('\n');
      }
    }
    return plan.toString();
  }

  private static Requirement is(String name, String value) {
    return new Requirement(new AttributeName(name), Operator.IN, List.of(value), 0);
  }

  private static void looksUp(List<String> plans) {
    assertThat(plans).allSatisfy(plan -> assertThat(plan).contains("attribute_value"));
    scansNothing(plans);
  }

  private static void scansNothing(List<String> plans) {
    noneHas(plans, "Seq Scan", "Hash", "SCAN (live|log|attribute|p|v)\\b");
  }

  private static void sortsNothing(List<String> plans) {
    noneHas(plans, "TEMP B-TREE", "Sort  \\(", "Bitmap");
  }

  private static void noneHas(List<String> plans, String... patterns) {
    for (String pattern : patterns) {
      assertThat(plans).allSatisfy(plan -> assertThat(plan).doesNotContainPattern(pattern));
    }
  }

  @Test
  void aValueIsLookedUp() throws SQLException {
    looksUp(plans(0, is("name", "77")));
  }

  @Test
  void aValueIsLookedUpAtAnOldRevision() throws SQLException {
    List<String> plans = plans(10, is("name", "77"));
    looksUp(plans);
    assertThat(plans).allSatisfy(plan -> assertThat(plan).contains("attribute_past_value"));
  }

  @Test
  void theOtherRequirementsAreLookedUpByKey() throws SQLException {
    looksUp(
        plans(
            0,
            is("half", "1"),
            is("name", "77"),
            new Requirement(new AttributeName("x"), Operator.ABSENT, List.of(), 0)));
  }

  @Test
  void pagesOfManyComeInTheOrderOfTheKeysWithoutSortingAll() throws SQLException {
    List<String> plans = plans(0, is("half", "1"));
    looksUp(plans);
    sortsNothing(plans);
  }

  @Test
  void pagesOfManyAtAnOldRevisionToo() throws SQLException {
    List<String> plans = plans(10, is("half", "1"));
    looksUp(plans);
    sortsNothing(plans);
  }

  @Test
  void pagesOfAllThatLackAnAttributeToo() throws SQLException {
    for (long revision : new long[] {0, 10}) {
      List<String> plans =
          plans(revision, new Requirement(new AttributeName("x"), Operator.ABSENT, List.of(), 0));
      scansNothing(plans);
      sortsNothing(plans);
    }
  }

  @Test
  void pagesWithoutAFilterToo() throws SQLException {
    for (long revision : new long[] {0, 10}) {
      List<String> plans =
          plans(
              (session, explain) ->
                  Ranges.explain(session, explain, Ops.prefix("p/"), revision, 100));
      scansNothing(plans);
      sortsNothing(plans);
    }
  }

  /** Whatever the parameters are: the planner knows that most keys have one of few names. */
  @Test
  void aNameThatNobodyHasIsLookedUp() throws SQLException {
    if (database == Database.SQLITE) {
      for (String sql : List.of(SqliteDialect.PRESENT, SqliteDialect.PRESENT_WITH)) {
        looksUp(plans((session, explain) -> session.prepare(explain + sql)));
      }
      return;
    }
    for (int i = 0; i < KEYS; i += 100) { // so the index by keys is the smaller one
      store.txn(
          IntStream.range(i, i + 100)
              .mapToObj(k -> Ops.put("w/" + k, "{wide=" + "x".repeat(300) + k + "}"))
              .toArray(Txn.Op[]::new));
    }
    for (String sql : List.of(PostgresDialect.PRESENT, PostgresDialect.PRESENT_WITH)) {
      String numbered = sql.replaceFirst("\\?", "\\$1").replaceFirst("\\?", "\\$2");
      boolean two = numbered.contains("$2");
      List<String> plans =
          plans(
              (session, explain) -> {
                String name = "plan" + explain.length();
                session.execute("SET plan_cache_mode = force_generic_plan");
                session.execute(
                    "PREPARE "
                        + name
                        + (two ? " (bytea[], bytea[])" : " (bytea[])")
                        + " AS "
                        + numbered);
                return session.prepare(
                    explain + "EXECUTE " + name + (two ? " ('{}', '{}')" : " ('{}')"));
              });
      looksUp(plans);
      sortsNothing(plans);
    }
  }
}
