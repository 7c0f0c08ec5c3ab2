package io.harikube.sql;

import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** The write of the health checks. */
@OnSqlDatabases
final class ProbeTest {
  private final Database database;
  @AutoClose private final TestStore store;

  ProbeTest(Database database) {
    this.database = database;
    store = database.open();
  }

  @Test
  void itIsDurableAndTakesNoRevision() {
    store.put("a", "1");
    long commits = store.store().status().commits();
    Await.answer(store.store().probe());
    assertThat(store.store().status().commits()).isEqualTo(commits + 1);
    assertThat(store.revision()).isEqualTo(2);
    assertThat(store.put("a", "2")).isEqualTo(3);
    assertThat(store.events(Ops.ALL, 2, 3, false, 1 << 20)).hasSize(2);
  }

  @Test
  void itFailsWhilePutsDo() throws SQLException {
    store.put("a", "1");
    if (database == Database.POSTGRES) {
      execute(
          """
          CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'read-only' USING ERRCODE = 'read_only_sql_transaction'; END $$""");
      execute("CREATE TRIGGER refuse BEFORE UPDATE ON meta EXECUTE FUNCTION refuse()");
    } else {
      execute(
          """
          CREATE TRIGGER refuse BEFORE UPDATE ON meta
          BEGIN SELECT RAISE(ABORT, 'read-only'); END""");
    }
    assertThat(refusal(() -> store.put("a", "2"))).isNotNull();
    assertThat(refusal(() -> Await.answer(store.store().probe()))).isNotNull();

    execute("DROP TRIGGER refuse" + (database == Database.POSTGRES ? " ON meta" : ""));
    Await.answer(store.store().probe());
    assertThat(store.put("a", "3")).isEqualTo(3);
  }

  private void execute(String sql) throws SQLException {
    try (Connection connection = store.connect();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }
}
