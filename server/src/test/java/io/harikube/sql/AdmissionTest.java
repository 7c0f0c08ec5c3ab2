package io.harikube.sql;

import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestClock;
import io.harikube.testing.TestPostgres;
import io.harikube.testing.TestStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whether a store is the one that is wanted is asked before anything is changed. */
@OnSqlDatabases
final class AdmissionTest {
  private final Database database;
  private final List<Admission.@Nullable Found> asked = new ArrayList<>();

  @TempDir private Path folder = Path.of("");

  AdmissionTest(Database database) {
    this.database = database;
  }

  private long refuse(Admission.@Nullable Found found) throws OpenException {
    asked.add(found);
    throw new OpenException("not this one");
  }

  private void refused(SqlOptions options) {
    assertThatThrownBy(
            () -> SqlStore.open(options.admitting(this::refuse), new TestClock()).close())
        .isInstanceOf(OpenException.class)
        .hasMessage("not this one");
  }

  private static List<Long> state(TestStore store) {
    return List.of(
        store.number("SELECT schema_version FROM meta"),
        store.number("SELECT epoch FROM meta"),
        store.number("SELECT commits FROM meta"),
        store.number("SELECT writer FROM meta"),
        store.number("SELECT count(*) FROM log"));
  }

  @Test
  void aStoreThatIsNotWantedIsLeftAsItIs() {
    try (TestStore store = database.open()) {
      store.put("a", "1");
      long clusterId = store.store().identity().clusterId();
      if (database == Database.POSTGRES) {
        // While another server uses it: that one goes on.
        refused(store.options());
        assertThat(store.put("a", "2")).isEqualTo(3);
      } else {
        store.put("a", "2");
      }
      store.store().close();
      store.execute("DROP TABLE task");
      store.execute("UPDATE meta SET schema_version = 4");
      List<Long> before = state(store);
      refused(store.options());
      assertThat(state(store)).isEqualTo(before);
      assertThat(asked.getLast()).isEqualTo(new Admission.Found(clusterId, 3));
      store.reopen();
      assertThat(store.number("SELECT schema_version FROM meta")).isEqualTo(Schema.VERSION);
      assertThat(store.get("a").version()).isEqualTo(2);
    }
  }

  @Test
  void whereThereIsNoneNoneIsMade() {
    if (database == Database.SQLITE) {
      Path parent = folder.resolve("new");
      refused(SqlOptions.of(new Endpoint.Sqlite(parent.resolve("state.db"))));
      assertThat(parent).doesNotExist();
    } else {
      TestPostgres.Database absent = TestPostgres.shared().absentDatabase();
      refused(SqlOptions.of(absent.endpoint()));
      String name = absent.endpoint().database();
      assertThatThrownBy(() -> TestPostgres.shared().connect(name).close())
          .hasMessageContaining("does not exist");
    }
    assertThat(asked).containsOnlyNulls().isNotEmpty();
  }

  @Test
  void anEmptyDatabaseStaysEmpty() throws Exception {
    if (database == Database.SQLITE) {
      Path file = Files.createFile(folder.resolve("state.db"));
      refused(SqlOptions.of(new Endpoint.Sqlite(file)));
      assertThat(file).isEmptyFile();
    } else {
      TestPostgres.Database empty = TestPostgres.shared().newDatabase();
      try {
        refused(SqlOptions.of(empty.endpoint()));
        try (var connection = TestPostgres.shared().connect(empty.endpoint().database());
            var tables = connection.getMetaData().getTables(null, "public", "%", null)) {
          assertThat(tables.next()).isFalse();
        }
      } finally {
        TestPostgres.shared().drop(empty);
      }
    }
    assertThat(asked).containsOnlyNulls().isNotEmpty();
  }

  /** The revision that is known to have been durable, in the next start of {@link #opened}. */
  private long known;

  private TestStore opened() {
    return database.open(options -> options.admitting(found -> known));
  }

  @Test
  void aStoreThatLacksCommitsGoesAhead() {
    try (TestStore store = opened()) {
      store.put("a", "1");
      long last = store.put("a", "2");
      known = last;
      store.reopen();
      assertThat(store.revision()).as("it has them all").isEqualTo(last);
      known = last + 5;
      store.reopen();
      long now = known + Meta.BUMP;
      assertThat(store.revision()).isEqualTo(now);
      assertThat(store.log().compactedRevision()).isEqualTo(now);
      for (long old : new long[] {last, known, known + 1, now - 1}) {
        assertThat(refusal(() -> store.all(old))).isEqualTo(Reason.COMPACTED);
      }
      assertThat(store.get("a").value().toString()).isEqualTo("2");
      assertThat(store.put("a", "3")).isEqualTo(now + 1);
      store.reopen();
      assertThat(store.revision()).as("once").isEqualTo(now + 1);
      assertThat(store.all(now + 1)).hasSize(1);
    }
  }

  @Test
  void thereIsNoWayBeyondTheLastRevision() {
    try (TestStore store = opened()) {
      long revision = store.put("a", "1");
      store.store().close();
      SqlOptions options = store.options().admitting(found -> Ids.MAX_REVISION);
      assertThatThrownBy(() -> SqlStore.open(options, new TestClock()).close())
          .isInstanceOf(OpenException.class)
          .hasMessageContaining("no way beyond");
      store.reopen();
      assertThat(store.revision()).isEqualTo(revision);
    }
  }
}
