package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.MemoryBudget;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.Ops;
import io.harikube.testing.TestClock;
import io.harikube.testing.TestStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The files of a SQLite database: who can read them, who has them, and what is left of them. */
final class SqliteFilesTest {
  @TempDir Path folder;

  private static Store open(Path file) throws OpenException {
    return SqlStore.open(SqlOptions.of(new Endpoint.Sqlite(file)), new TestClock());
  }

  private static void put(Store store, String key) {
    try (MemoryBudget.Share share = new MemoryBudget(1 << 20).open()) {
      Await.answer(store.txn(Ops.all(Ops.put(key, "v")), share));
    }
  }

  private static List<String> keys(Store store) {
    try (MemoryBudget.Share share = new MemoryBudget(1 << 20).open()) {
      return Ops.keys(store.range(RangeQuery.of(Ops.ALL), share).kvs());
    }
  }

  private static String mode(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(path -> !path.equals(folder)).map(Path::toString).sorted().toList();
    }
  }

  private static void execute(Path file, String... sql) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        Statement statement = connection.createStatement()) {
      for (String one : sql) {
        statement.execute(one);
      }
    }
  }

  @Test
  void onlyTheOwnerReadsWhatIsMade() throws Exception {
    Path deep = folder.resolve("made/for/it");
    Path file = deep.resolve("state.db");
    try (Store store = open(file)) {
      put(store, "a");
      assertThat(keys(store)).containsExactly("a");
      for (String suffix : List.of("", "-wal", "-shm", ".lock")) {
        assertThat(mode(Path.of(file + suffix))).as(suffix).isEqualTo("rw-------");
      }
    }
    for (Path made : List.of(folder.resolve("made"), folder.resolve("made/for"), deep)) {
      assertThat(mode(made)).isEqualTo("rwx------");
    }
  }

  @Test
  void restoredFilesAreTheOwnersToo() throws Exception {
    Path snapshot = folder.resolve("snapshot.db");
    try (TestStore source = Database.SQLITE.open()) {
      source.put("a", "1");
      source.snapshot(snapshot);
    }
    Path made = folder.resolve("new");
    Path file = made.resolve("state.db");
    Snapshots.restore(snapshot, SqlOptions.of(new Endpoint.Sqlite(file)));
    assertThat(mode(file)).isEqualTo("rw-------");
    assertThat(mode(made)).isEqualTo("rwx------");
    try (Store store = open(file)) {
      assertThat(keys(store)).containsExactly("a");
    }
  }

  @Test
  void whatEveryoneCouldReadIsTightenedAndAGroupStays() throws Exception {
    Path file = folder.resolve("state.db");
    open(file).close();
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    Files.setPosixFilePermissions(
        Path.of(file + ".lock"), PosixFilePermissions.fromString("rw-r--r--"));
    open(file).close();
    assertThat(mode(file)).isEqualTo("rw-------");
    assertThat(mode(Path.of(file + ".lock"))).isEqualTo("rw-------");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    open(file).close();
    assertThat(mode(file)).isEqualTo("rw-r-----");
  }

  @Test
  void anotherNameIsTheSameDatabase() throws Exception {
    Path file = folder.resolve("state.db");
    Path link = Files.createSymbolicLink(folder.resolve("link.db"), Path.of("state.db"));
    Files.createDirectory(folder.resolve("other"));
    Path byFolder = Files.createSymbolicLink(folder.resolve("folder"), folder);
    Path dangling =
        Files.createSymbolicLink(folder.resolve("other/link.db"), Path.of("../state.db"));
    try (Store store = open(dangling)) {
      assertThat(file).exists();
      put(store, "a");
      for (Path name : List.of(file, link, byFolder.resolve("state.db"), dangling)) {
        assertThatThrownBy(() -> open(name).close())
            .isInstanceOf(OpenException.class)
            .hasMessageContaining("in use");
      }
      put(store, "b");
    }
    try (Store store = open(link)) {
      assertThat(keys(store)).containsExactly("a", "b");
    }
  }

  @Test
  void aFileWithSeveralNamesIsRefused() throws Exception {
    Path file = folder.resolve("state.db");
    open(file).close();
    Path second = Files.createLink(folder.resolve("second.db"), file);
    List<String> before = names();
    for (Path name : List.of(file, second)) {
      assertThatThrownBy(() -> open(name).close())
          .isInstanceOf(OpenException.class)
          .hasMessageContaining("hard links");
    }
    assertThat(names()).isEqualTo(before);
    Files.delete(second);
    open(file).close();
  }

  /** Another program writes, or was stopped while it did: a sqlite3, a backup. */
  @Test
  void aConnectionIsOpenedWhileAnotherProgramHoldsTheWriteLock() throws Exception {
    Path file = folder.resolve("state.db");
    try (Store store = open(file)) {
      put(store, "a");
    }
    try (Connection other = DriverManager.getConnection("jdbc:sqlite:" + file);
        Statement statement = other.createStatement()) {
      statement.execute("BEGIN IMMEDIATE");
      long begin = System.nanoTime();
      try (Dialect dialect =
          SqlStore.dialect(SqlOptions.of(new Endpoint.Sqlite(file)), StoreMetrics.NONE)) {
        dialect.prepare();
        dialect.connectWriter().close();
        assertThat(dialect.readers().single(Meta::read).revision()).isEqualTo(2);
        assertThat(dialect.probes().single(Meta::read).revision()).isEqualTo(2);
      }
      assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(5));
      statement.execute("ROLLBACK");
    }
  }

  @Test
  void aStartThatFailsLeavesNothingBehind() throws Exception {
    Path kine = folder.resolve("kine.db");
    execute(kine, "CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT)");
    Path log = folder.resolve("log.db");
    execute(log, "PRAGMA journal_mode = WAL", "CREATE TABLE kine (id INTEGER PRIMARY KEY)");
    Path text = Files.writeString(folder.resolve("text"), "this is not a database, but a text");
    Path etcd = folder.resolve("etcd");
    Files.createDirectories(etcd.resolve("member"));
    Path open = folder.resolve("open.db");
    List<String> before = names();
    byte[] content = Files.readAllBytes(kine);
    for (Path file : List.of(kine, log, text, etcd, folder.resolve("text/deeper/state.db"))) {
      assertThatThrownBy(() -> open(file).close()).isInstanceOf(OpenException.class);
      assertThat(names()).isEqualTo(before);
    }
    assertThat(Files.readAllBytes(kine)).isEqualTo(content);
    assertThatThrownBy(
            () ->
                Snapshots.restore(
                    Files.copy(kine, folder.resolve("copy")),
                    SqlOptions.of(new Endpoint.Sqlite(open))))
        .isInstanceOf(OpenException.class);
    assertThat(open).doesNotExist();
  }

  /** What a start has made, and then could not use. */
  @Test
  void anEmptyDatabaseThatWasMadeIsRemoved() throws Exception {
    Path file = folder.resolve("made/state.db");
    try (Dialect dialect =
        SqlStore.dialect(SqlOptions.of(new Endpoint.Sqlite(file)), StoreMetrics.NONE)) {
      dialect.prepare();
      dialect.connectWriter().close();
      assertThat(file).exists();
    }
    assertThat(names()).isEmpty();
  }
}
