package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.Txn;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** How the databases find the keys of a filter: never by looking at a whole table. */
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
    if (database == Database.POSTGRES) {
      store.execute("ANALYZE");
    }
  }

  private String plan(long revision, Requirement... requirements) throws SQLException {
    String explain = database == Database.SQLITE ? "EXPLAIN QUERY PLAN " : "EXPLAIN ";
    StringBuilder plan = new StringBuilder();
    try (Session session = new Session(store.connect());
        ResultSet rows =
            FilteredRanges.explain(
                    session,
                    explain,
                    Ops.prefix("p/"),
                    new Filter(Arrays.asList(requirements)),
                    revision,
                    100)
                .executeQuery()) {
      while (rows.next()) {
        plan.append(rows.getString(database == Database.SQLITE ? 4 : 1)).append('\n');
      }
    }
    return plan.toString();
  }

  private static Requirement is(String name, String value) {
    return new Requirement(name, Operator.IN, List.of(value), 0);
  }

  private void looksUp(String plan) {
    assertThat(plan).contains("attribute_value");
    assertThat(plan).doesNotContain("Seq Scan");
    assertThat(plan).doesNotContainPattern("SCAN (live|log|attribute|p|v)\\b");
  }

  @Test
  void aValueIsLookedUp() throws SQLException {
    looksUp(plan(0, is("name", "77")));
  }

  @Test
  void aValueIsLookedUpAtAnOldRevision() throws SQLException {
    assertThat(plan(10, is("name", "77"))).contains("attribute_past_value");
    looksUp(plan(10, is("name", "77")));
  }

  @Test
  void theOtherRequirementsAreLookedUpByKey() throws SQLException {
    looksUp(
        plan(
            0,
            is("half", "1"),
            is("name", "77"),
            new Requirement("x", Operator.ABSENT, List.of(), 0)));
  }

  @Test
  void pagesOfManyComeInTheOrderOfTheKeysWithoutSortingAll() throws SQLException {
    String plan = plan(0, is("half", "1"));
    looksUp(plan);
    if (database == Database.SQLITE) {
      // So few rows PostgreSQL may well sort.
      assertThat(plan).doesNotContain("TEMP B-TREE");
    }
  }
}
