package io.harikube.sql;

import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreMetrics;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Work on a connection that is lost at the commit is done once more, which nobody may notice. */
@OnSqlDatabases
final class RepeatedReadsTest {
  @AutoClose private final TestStore store;
  @TempDir private Path folder = Path.of("");

  RepeatedReadsTest(Database database) {
    store = database.open();
  }

  /** Does everything twice, as if the connection had been lost after the first time. */
  private record Twice(Readers readers) implements Readers {
    @Override
    public <T extends Answer> T single(Work<T> work) throws SQLException {
      T _ = readers.single(work);
      return readers.single(work);
    }

    @Override
    public <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException {
      T _ = readers.snapshot(work);
      return readers.snapshot(work);
    }

    @Override
    public void close() {
      readers.close();
    }
  }

  private static Dialect twice(Dialect dialect) {
    return (Dialect)
        Proxy.newProxyInstance(
            Dialect.class.getClassLoader(),
            new Class<?>[] {Dialect.class},
            (_, method, arguments) -> {
              try {
                return method.getName().equals("readers")
                    ? new Twice(dialect.readers())
                    : method.invoke(dialect, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @Test
  void changesNeitherChecksumsNorSnapshots() throws Exception {
    store.grant(7, 600);
    store.grant(8, 600);
    for (int i = 0; i < 100; i++) {
      store.txn(put("k" + i % 9, "v".repeat(i * 500)), put("l" + i, "w"));
    }
    store.put("leased", "1", 7);
    store.compact(20);
    Path file = folder.resolve("snapshot");
    try (Dialect dialect = SqlStore.dialect(store.options(), StoreMetrics.NONE)) {
      Dialect twice = twice(dialect);
      Pins pins = new Pins(store::revision);
      assertThat(new Hashes(twice, pins).hash(0)).isEqualTo(store.store().hash(0));
      assertThat(new Hashes(twice, pins).hash(50)).isEqualTo(store.store().hash(50));
      new Snapshots(twice, pins, new SqlFailures(twice))
          .save((_, _) -> Files.newOutputStream(file));
    }
    try (TestStore restored = Database.SQLITE.restore(file, store)) {
      assertThat(restored.all(0)).isEqualTo(store.all(0));
      assertThat(restored.store().leases()).isEqualTo(store.store().leases()).hasSize(2);
      assertThat(restored.store().hash(0).hash()).isEqualTo(store.store().hash(0).hash());
    }
  }
}
