package io.harikube.sql;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.KeyValue;
import io.harikube.store.Store;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Snapshots and compactions at the same time. */
@OnSqlDatabases
final class SnapshotDuringCompactionTest {
  private static final int STEP = 50;

  @AutoClose private final TestStore store;
  @TempDir private Path folder = Path.of("");
  private final Random random = new Random(7);

  /** A compaction in small steps, which waits for readers as long as a test may take. */
  SnapshotDuringCompactionTest(Database database) {
    store =
        database.open(
            options ->
                new SqlOptions(
                    options.endpoint(),
                    options.readers(),
                    options.batchOperations(),
                    options.eventBytes(),
                    STEP,
                    Duration.ofHours(1),
                    options.walBytes(),
                    options.slowQuery(),
                    options.minLeaseTtl(),
                    options.pool()));
  }

  private static <T> CompletableFuture<T> start(java.util.concurrent.Callable<T> work) {
    CompletableFuture<T> done = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(
            () -> {
              try {
                done.complete(work.call());
              } catch (Throwable e) {
                done.completeExceptionally(e);
              }
            });
    return done;
  }

  /** Puts keys that are deleted again, beside some that stay. */
  private void write(int round) {
    for (int part = 0; part < 4; part++) {
      int of = part;
      store.txn(
          IntStream.range(0, 1_000)
              .mapToObj(k -> put("gone/%d/%d".formatted(of, k), "v".repeat(random.nextInt(400))))
              .toArray(Txn.Op[]::new));
      store.put("stays/" + part, "" + round);
    }
    store.txn(delete(prefix("gone/")));
    store.put("last", "" + round);
  }

  private void rounds(int count) throws Exception {
    for (int round = 0; round < count; round++) {
      write(round);
      long begin = store.number("SELECT compact_cursor FROM meta");
      long last = store.revision();
      CompletableFuture<Long> compaction = store.store().compact(last, true);
      // The rows are in the ids of five revisions, one step of the compaction behind the other.
      long from = Math.max(begin, Ids.first(last - 8));
      long at = from + (long) (random.nextDouble() * (Ids.first(last) - from));
      Await.until(
          "the compaction to get there",
          () -> store.number("SELECT compact_cursor FROM meta") >= at || compaction.isDone());
      Path file = folder.resolve("snapshot" + round);
      long revision = store.snapshot(file);
      try (TestStore restored = Database.SQLITE.restore(file, store)) {
        List<KeyValue> there = store.all(revision);
        assertThat(restored.all(revision)).as("round %s at %s", round, at).isEqualTo(there);
        assertThat(restored.number("SELECT count(*) FROM live")).isEqualTo(there.size());
        Await.answer(compaction);
        Await.until(
            "the compaction of what was restored",
            () -> restored.number("SELECT count(*) FROM log") <= there.size() + 1);
        assertThat(restored.all(revision)).isEqualTo(there);
      }
      Files.delete(file);
    }
  }

  @Test
  void isTheStoreAtItsRevisionWhereverTheCompactionIs() throws Exception {
    rounds(4);
  }

  @Test
  @Tag("long")
  void isTheStoreAtItsRevisionFiftyTimes() throws Exception {
    rounds(50);
  }

  /** A client that takes nothing until {@code whenTaken} is there. */
  private static Store.SnapshotSink slow(
      Path file, CompletableFuture<Void> begun, CompletableFuture<?> whenTaken) {
    return (_, _) ->
        new FilterOutputStream(Files.newOutputStream(file)) {
          @Override
          public void write(byte[] bytes, int from, int length) throws IOException {
            begun.complete(null);
            whenTaken.join();
            out.write(bytes, from, length);
          }
        };
  }

  @Test
  void aSlowClientHoldsUpNoCompaction() throws Exception {
    write(0);
    CompletableFuture<Void> begun = new CompletableFuture<>();
    CompletableFuture<Void> compacted = new CompletableFuture<>();
    Path file = folder.resolve("slow");
    List<KeyValue> there = store.all(0);
    CompletableFuture<Boolean> snapshot =
        start(
            () -> {
              store.store().snapshot(slow(file, begun, compacted));
              return true;
            });
    Await.answer(begun);
    store.put("later", "1");
    store.compact(store.revision());
    compacted.complete(null);
    Await.answer(snapshot);
    try (TestStore restored = Database.SQLITE.restore(file, store)) {
      assertThat(restored.all(0)).isEqualTo(there);
    }
  }

  /** Each has a copy of the whole store. */
  @Test
  void thereIsOneAtATimeAndWhoLeavesTheLineMakesRoom() throws Exception {
    write(0);
    CompletableFuture<Void> begun = new CompletableFuture<>();
    CompletableFuture<Void> taken = new CompletableFuture<>();
    CompletableFuture<Boolean> first =
        start(
            () -> {
              store.store().snapshot(slow(folder.resolve("first"), begun, taken));
              return true;
            });
    Await.answer(begun);
    AtomicBoolean gone = new AtomicBoolean();
    AtomicBoolean served = new AtomicBoolean();
    CompletableFuture<Boolean> second =
        start(
            () -> {
              store.store().snapshot(new Leaving(gone, served));
              return true;
            });
    Path file = folder.resolve("third");
    CompletableFuture<Long> third = start(() -> store.snapshot(file));
    gone.set(true);
    assertThatThrownBy(second::join).hasCauseInstanceOf(IOException.class);
    assertThat(served).isFalse();
    assertThat(first).isNotDone();
    assertThat(third).isNotDone();
    taken.complete(null);
    assertThat(Await.answer(first)).isTrue();
    assertThat(Await.answer(third)).isEqualTo(store.revision());
    try (TestStore restored = Database.SQLITE.restore(file, store)) {
      assertThat(restored.all(0)).isEqualTo(store.all(0));
    }
  }

  private record Leaving(AtomicBoolean gone, AtomicBoolean served) implements Store.SnapshotSink {
    @Override
    public OutputStream begin(long size, long revision) {
      served.set(true);
      return OutputStream.nullOutputStream();
    }

    @Override
    public boolean isCancelled() {
      return gone.get();
    }
  }
}
