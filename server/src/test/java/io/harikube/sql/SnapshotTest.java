package io.harikube.sql;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots, and what is restored from them, into either database. */
@OnSqlDatabases
final class SnapshotTest {
  private static final List<Database> TARGETS = List.of(Database.SQLITE, Database.POSTGRES);

  @AutoClose private final TestStore store;
  @TempDir private Path folder = Path.of("");

  SnapshotTest(Database database) {
    store = database.open();
  }

  private void write() {
    store.grant(7, 600);
    for (int i = 0; i < 30; i++) {
      store.txn(put("k" + i % 7, "v" + i), put("l" + i % 3, "w" + i));
    }
    store.put("leased", "1", 7);
    store.put(Ops.bytes(0, 0xff, 0x80), Ops.bytes(0, 0xff));
    store.txn(delete("k3"), delete("l1"));
    store.compact(15);
    store.put("k0", "last");
  }

  private static void same(TestStore restored, TestStore source, long revision) {
    assertThat(restored.revision()).isEqualTo(revision);
    long compacted = source.log().compactedRevision();
    assertThat(restored.log().compactedRevision()).isEqualTo(compacted);
    for (long at = compacted; at <= revision; at++) {
      assertThat(restored.all(at)).as("revision %s", at).isEqualTo(source.all(at));
    }
    assertThat(restored.events(Ops.ALL, compacted + 1, revision, true, 1 << 20))
        .isEqualTo(source.events(Ops.ALL, compacted + 1, revision, true, 1 << 20));
    assertThat(restored.store().hash(revision).hash())
        .isEqualTo(source.store().hash(revision).hash());
    assertThat(restored.store().identity().clusterId())
        .isEqualTo(source.store().identity().clusterId());
  }

  @Test
  void restoresTheWholeHistoryIntoEitherDatabaseAndBack() throws Exception {
    write();
    Path file = folder.resolve("snapshot");
    long revision = store.snapshot(file);
    assertThat(revision).isEqualTo(store.revision());
    for (Database target : TARGETS) {
      try (TestStore restored = target.restore(file, store)) {
        same(restored, store, revision);
        assertThat(restored.lease(7)).isEqualTo(store.lease(7));
        Path again = folder.resolve("again-" + target);
        restored.snapshot(again);
        for (Database back : TARGETS) {
          try (TestStore twice = back.restore(again, store)) {
            same(twice, store, revision);
          }
        }
        assertThat(restored.put("k0", "on")).isEqualTo(revision + 1);
        assertThat(restored.get("k0").version()).isEqualTo(store.get("k0").version() + 1);
        restored.revoke(7);
        assertThat(restored.find("leased")).isNull();
        restored.compact(restored.revision());
      }
    }
  }

  @Test
  void anEmptyStoreHasASnapshot() throws Exception {
    Path file = folder.resolve("snapshot");
    assertThat(store.snapshot(file)).isEqualTo(1);
    for (Database target : TARGETS) {
      try (TestStore restored = target.restore(file, store)) {
        assertThat(restored.all(0)).isEmpty();
        assertThat(restored.put("a", "1")).isEqualTo(2);
      }
    }
  }

  @Test
  void isOfOneRevisionWhateverIsWrittenMeanwhile() throws Exception {
    for (int i = 0; i < 5; i++) {
      store.txn(IntStream.range(0, 1_000).mapToObj(k -> put("k" + k, "v")).toArray(Txn.Op[]::new));
    }
    List<CompletableFuture<?>> writes = new ArrayList<>();
    for (int i = 0; i < 2_000; i++) {
      Txn txn = Ops.all(put("k" + i % 1_000, "n" + i), put("l" + i % 1_000, "n" + i));
      writes.add(store.store().txn(txn, store.budget().open()));
    }
    Path file = folder.resolve("snapshot");
    long revision = store.snapshot(file);
    writes.forEach(Await::answer);
    try (TestStore restored = Database.SQLITE.restore(file, store)) {
      assertThat(restored.all(revision)).isEqualTo(store.all(revision));
      assertThat(restored.revision()).isEqualTo(revision);
    }
  }

  /** The history that a snapshot promises must not be compacted away while it is written. */
  @Test
  void compactionMeanwhileTakesNothingFromIt() throws Exception {
    for (int i = 0; i < 20; i++) {
      int part = i;
      store.txn(
          IntStream.range(0, 1_000)
              .mapToObj(k -> put("k%02d%03d".formatted(part, k), "v".repeat(200)))
              .toArray(Txn.Op[]::new));
    }
    long base = store.revision();
    store.compact(base);
    for (int i = 0; i < 100; i++) {
      int n = i;
      store.txn(IntStream.range(0, 5).mapToObj(k -> put("hot" + k, "" + n)).toArray(Txn.Op[]::new));
    }
    List<List<KeyValue>> hot = new ArrayList<>();
    long last = store.revision();
    for (long at = base; at <= last; at++) {
      hot.add(hotAt(store, at));
    }
    Path file = folder.resolve("snapshot");
    CompletableFuture<Long> snapshot =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return store.snapshot(file);
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            },
            task -> Thread.ofPlatform().start(task));
    store.put("delay", "1");
    store.put("delay", "2");
    Await.answer(store.store().compact(last, true));
    Await.answer(snapshot);
    try (TestStore restored = Database.SQLITE.restore(file, store)) {
      long compacted = restored.log().compactedRevision();
      for (long at = Math.max(base, compacted); at <= last; at++) {
        assertThat(hotAt(restored, at))
            .as("revision %s of a snapshot compacted at %s", at, compacted)
            .isEqualTo(hot.get((int) (at - base)));
      }
    }
  }

  private static List<KeyValue> hotAt(TestStore store, long revision) {
    return store
        .range(io.harikube.store.RangeQuery.of(Ops.prefix("hot")).atRevision(revision))
        .kvs();
  }

  @Test
  void whatIsNoSnapshotIsRefused() throws IOException {
    write();
    Path file = folder.resolve("snapshot");
    store.snapshot(file);
    byte[] whole = Files.readAllBytes(file);
    refused(folder.resolve("missing"));
    refused(Files.write(folder.resolve("empty"), new byte[0]));
    refused(Files.write(folder.resolve("text"), Bytes.of("no snapshot".repeat(100)).array()));
    refused(Files.write(folder.resolve("short"), Arrays.copyOf(whole, whole.length - 100)));
    byte[] damaged = Arrays.copyOf(whole, whole.length + 32);
    refused(Files.write(folder.resolve("damaged"), damaged));
  }

  @Test
  void aSnapshotIsReadFromTheStandardInput() throws Exception {
    write();
    Path file = folder.resolve("snapshot");
    store.snapshot(file);
    byte[] whole = Files.readAllBytes(file);
    InputStream before = System.in;
    try {
      for (Database target : TARGETS) {
        System.setIn(new ByteArrayInputStream(whole));
        try (TestStore restored = target.restore(Restore.STANDARD_INPUT, store)) {
          assertThat(restored.all(0)).isEqualTo(store.all(0));
        }
      }
      System.setIn(new ByteArrayInputStream(whole, 0, whole.length - 100));
      refused(Restore.STANDARD_INPUT);
    } finally {
      System.setIn(before);
    }
  }

  private void refused(Path file) {
    for (Database target : TARGETS) {
      OpenException refused =
          catchThrowableOfType(OpenException.class, () -> target.restore(file, store).close());
      assertThat(refused).as("%s", file).isNotNull();
      assertThat(refused.getMessage()).isNotBlank().doesNotContain("\n");
    }
  }

  @Test
  void aStoreThatHoldsSomethingIsNotOverwritten() throws IOException {
    write();
    Path file = folder.resolve("snapshot");
    store.snapshot(file);
    store.put("later", "1");
    List<Event> before = store.events(Ops.ALL, 16, store.revision(), false, 1 << 20);
    store.store().close();
    OpenException refused =
        catchThrowableOfType(
            OpenException.class, () -> Restore.restore(file, store.options(), new Restore.Exact()));
    assertThat(refused).isNotNull();
    store.reopen();
    assertThat(store.events(Ops.ALL, 16, store.revision(), false, 1 << 20)).isEqualTo(before);
  }
}
