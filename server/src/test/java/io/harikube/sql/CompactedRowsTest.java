package io.harikube.sql;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import io.harikube.store.Status;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestPostgres;
import io.harikube.testing.TestStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** What compaction leaves in the tables, looked at without the store. */
@OnSqlDatabases
final class CompactedRowsTest {
  private static final int KEYS = 200;
  private static final long WAL_BYTES = 64L << 20;

  private final Database database;
  @AutoClose private final TestStore store;

  CompactedRowsTest(Database database) {
    this.database = database;
    store = database.open();
  }

  private long logRows() {
    return store.number("SELECT count(*) FROM log");
  }

  private void writeAll(String value) {
    store.txn(
        IntStream.range(0, KEYS)
            .mapToObj(i -> put("k%04d".formatted(i), value + i))
            .toArray(Txn.Op[]::new));
  }

  @Test
  void onlyTheLastVersionOfEachKeyIsLeft() {
    for (int i = 0; i < 10; i++) {
      writeAll("v" + i + "-");
    }
    assertThat(logRows()).isEqualTo(10L * KEYS);
    store.compact(6);
    assertThat(logRows()).isEqualTo(6L * KEYS);
    store.compact(11);
    assertThat(logRows()).isEqualTo(KEYS);
    assertThat(store.number("SELECT count(*) FROM live")).isEqualTo(KEYS);
    writeAll("w");
    assertThat(logRows()).isEqualTo(2L * KEYS);
  }

  @Test
  void tombstonesGo() {
    writeAll("v");
    store.txn(delete(prefix("k")));
    assertThat(logRows()).isEqualTo(2L * KEYS);
    store.put("other", "1");
    store.compact(store.revision());
    assertThat(logRows()).isEqualTo(1);
    assertThat(store.number("SELECT count(*) FROM live")).isEqualTo(1);
  }

  @Test
  void tombstonesOfTheCompactedRevisionGoWithTheNextCompaction() {
    writeAll("v");
    store.txn(delete(prefix("k")));
    store.compact(3);
    assertThat(logRows()).isBetween(0L, (long) KEYS);
    store.put("other", "1");
    store.compact(4);
    assertThat(logRows()).isEqualTo(1);
  }

  @Test
  void keysThatWereSetAndDeletedWithinATransactionGo() {
    for (int i = 0; i < 20; i++) {
      store.txn(put("a", "1"), delete("a"), put("a", "2"), put("b", "1"), delete("b"));
    }
    store.put("c", "1");
    store.compact(store.revision());
    assertThat(logRows()).isEqualTo(2);
    assertThat(Ops.keys(store.all(0))).containsExactly("a", "c");
  }

  @Test
  void goesOnWhereAStopCutItShort() {
    for (int i = 0; i < 40; i++) {
      writeAll("v" + i + "-");
    }
    List<KeyValue> before = store.all(41);
    Await.answer(store.store().compact(41, false));
    store.reopen();
    Await.until("the end of the compaction", () -> logRows() == KEYS);
    assertThat(store.all(41)).isEqualTo(before);
  }

  @Test
  void goesOnWhereACrashCutItShort() throws IOException {
    for (int i = 0; i < 40; i++) {
      writeAll("v" + i + "-");
    }
    List<KeyValue> before = store.all(41);
    Await.answer(store.store().compact(41, false));
    if (database == Database.SQLITE) {
      try (TestStore image = store.crashImage()) {
        Await.until(
            "the end of the compaction", () -> image.number("SELECT count(*) FROM log") == KEYS);
        assertThat(image.all(41)).isEqualTo(before);
      }
    } else {
      TestPostgres.shared().kill9();
      TestPostgres.shared().start();
      Await.until("the end of the compaction", () -> logRows() == KEYS);
      assertThat(store.all(41)).isEqualTo(before);
    }
  }

  @Test
  void spaceIsGivenBack() {
    writeMuch();
    long full = store.store().status().size();
    assertThat(full).isGreaterThan(30_000_000);
    store.txn(delete(prefix("k")));
    store.put("other", "1");
    store.compact(store.revision());
    store.store().defragment();
    Status status = store.store().status();
    if (database == Database.SQLITE) {
      assertThat(status.size()).isLessThan(full / 2);
    } else {
      // PostgreSQL keeps the file, and uses the space in it again.
      writeMuch();
      assertThat(store.store().status().size()).isLessThan(full * 4 / 3);
    }
    assertThat(status.sizeInUse()).isLessThanOrEqualTo(status.size());
  }

  /**
   * What is deleted lies all over the log, so that each step writes as many pages as it deletes
   * rows.
   */
  @Test
  void theWriteAheadLogKeepsItsLimitDuringACompaction() throws IOException {
    Random random = new Random(1);
    byte[] value = new byte[1_000];
    for (int i = 0; i < 1_000; i++) {
      store.txn(
          random
              .ints(0, 10_000)
              .distinct()
              .limit(100)
              .mapToObj(key -> Ops.put(Bytes.of("k" + key), Bytes.of(value)))
              .toArray(Txn.Op[]::new));
    }
    store.compact(store.revision());
    assertThat(logRows()).isEqualTo(store.number("SELECT count(*) FROM live"));
    if (database == Database.SQLITE) {
      assertThat(Files.size(Path.of(store.file() + "-wal"))).isLessThan(WAL_BYTES * 5 / 4);
    }
  }

  private void writeMuch() {
    Random random = new Random(1);
    for (int i = 0; i < 3_000; i++) {
      byte[] value = new byte[10_000];
      random.nextBytes(value);
      store.put(Bytes.of("k" + i % KEYS), Bytes.of(value));
    }
  }
}
