package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.harikube.store.MemoryBudget;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Await;
import io.harikube.testing.Ops;
import io.harikube.testing.TestClock;
import io.harikube.testing.TestPostgres;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/**
 * A PostgreSQL with LLVM, as Debian and most providers have it, compiles what it thinks is
 * expensive: what the store's connections do must not look so.
 */
final class JitTest {

  private static String plan(Session session) throws SQLException {
    StringBuilder plan = new StringBuilder();
    try (Statement statement = session.connection().createStatement();
        ResultSet rows =
            statement.executeQuery("EXPLAIN (ANALYZE) SELECT * FROM meta, live, log LIMIT 1")) {
      while (rows.next()) {
        plan.append(rows.getString(1)).append('\n');
      }
    }
    return plan.toString();
  }

  @Test
  void nothingIsCompiled() throws Exception {
    Optional<TestPostgres> debian = TestPostgres.launchDebian();
    assumeTrue(debian.isPresent(), "Debian's package postgresql is not installed");
    try (TestPostgres server = debian.get()) {
      TestPostgres.Database database = server.newDatabase();
      try (Connection connection = server.connect("postgres");
          Statement statement = connection.createStatement()) {
        statement.execute(
            "ALTER DATABASE " + database.endpoint().database() + " SET jit_above_cost = 0");
      }
      SqlOptions options = SqlOptions.of(database.endpoint());
      MemoryBudget budget = new MemoryBudget(1 << 20);
      try (Store store = SqlStore.open(options, new TestClock());
          MemoryBudget.Share share = budget.open();
          Dialect dialect = SqlStore.dialect(options, StoreMetrics.NONE)) {
        Await.answer(store.txn(Ops.all(Ops.put("a", "1")), share));
        assertThat(store.range(RangeQuery.of(Ops.ALL), share).kvs()).hasSize(1);
        assertThat(dialect.readers().<String>snapshot((session, _) -> plan(session)))
            .doesNotContain("JIT");
        try (Session writer = dialect.connectWriter()) {
          assertThat(plan(writer)).doesNotContain("JIT");
        }
        try (Session plain =
            new Session(server.connect(database.endpoint().database()), ManyValues.Array::new)) {
          plain.execute("SET enable_seqscan = off");
          assertThat(plan(plain)).as("without the store's settings").contains("JIT");
        }
      }
    }
  }
}
