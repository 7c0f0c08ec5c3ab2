package io.harikube.sql;

import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Txn;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/**
 * Ranges whose connection is lost when a page has been read and its snapshot has not ended: the
 * page is read again, of another snapshot, in which everything is different.
 */
@OnSqlDatabases
final class LostConnectionTest {
  private static final int KEYS = 400;

  @AutoClose private final TestStore store;
  @AutoClose private final WatchedReaders readers;

  LostConnectionTest(Database database) {
    store = database.open();
    change("first");
    readers = new WatchedReaders(store);
  }

  private long change(String value) {
    return store
        .txn(
            IntStream.range(0, KEYS)
                .mapToObj(i -> put("k/%03d".formatted(i), value))
                .toArray(Txn.Op[]::new))
        .revision();
  }

  private static void isOf(OpResult.Range answer, long revision, int keys) {
    assertThat(answer.revision()).isEqualTo(revision);
    assertThat(answer.count()).isEqualTo(KEYS);
    assertThat(answer.kvs())
        .hasSize(keys)
        .doesNotHaveDuplicates()
        .allMatch(kv -> kv.modRevision() == revision);
  }

  @Test
  void theFirstPageIsOfOneSnapshot() throws SQLException {
    for (int limit : new int[] {0, 3, 64, 100}) {
      readers.loseNext(() -> change("limit " + limit));
      OpResult.Range answer = readers.range(RangeQuery.of(prefix("k/")).withLimit(limit));
      isOf(answer, store.revision(), limit == 0 ? KEYS : limit);
    }
  }

  /** The pages that follow are still of the revision that the first was read at. */
  @Test
  void soIsAnyOtherPage() throws SQLException {
    List<OpResult.Range> parts = new ArrayList<>();
    readers.ranges().stream(
        RangeQuery.of(prefix("k/")),
        Unlimited.share(),
        8 << 10,
        part -> {
          parts.add(part);
          readers.loseNext(() -> change("part " + parts.size()));
        });
    assertThat(parts).hasSizeGreaterThan(3);
    List<KeyValue> kvs = parts.stream().flatMap(part -> part.kvs().stream()).toList();
    isOf(new OpResult.Range(2, kvs, false, parts.getLast().count()), 2, KEYS);
    assertThat(store.revision()).isGreaterThan(4);
  }

  @Test
  void soIsWhatIsSorted() throws SQLException {
    for (int limit : new int[] {0, 7}) {
      readers.loseNext(() -> change("limit " + limit));
      RangeQuery query =
          Ops.sorted(prefix("k/"), limit, RangeQuery.Target.MOD, RangeQuery.Order.DESCEND);
      isOf(readers.range(query), store.revision(), limit == 0 ? KEYS : limit);
    }
  }

  /** A list begins anew if the database is taken over between two of its pages. */
  @Test
  void soIsAListWhoseDatabaseIsTakenOver() throws SQLException {
    change("x".repeat(4000));
    for (int page = 1; page < 4; page++) {
      readers.beforeSnapshot(
          page,
          () -> {
            change("y".repeat(4000));
            store.execute("UPDATE meta SET epoch = epoch + 1");
          });
      isOf(readers.range(RangeQuery.of(prefix("k/"))), store.revision(), KEYS);
      store.execute("UPDATE meta SET epoch = epoch - 1");
    }
  }

  @Test
  void soAreCounts() throws SQLException {
    readers.loseNext(() -> store.txn(Ops.delete(prefix("k/0"))));
    assertThat(readers.range(Ops.countOnly(prefix("k/"), 0, 0)))
        .isEqualTo(new OpResult.Range(store.revision(), List.of(), false, KEYS - 100));
  }

  @Test
  void whatWasThrownAwayIsNotCounted() throws SQLException {
    try (MemoryBudget.Share share = store.budget().open()) {
      readers.loseNext(() -> change("x".repeat(1000)));
      OpResult.Range answer = readers.ranges().range(RangeQuery.of(prefix("k/")), share);
      isOf(answer, store.revision(), KEYS);
      assertThat(share.held()).isEqualTo(answer.kvs().stream().mapToLong(KeyValue::weight).sum());
    }
  }
}
