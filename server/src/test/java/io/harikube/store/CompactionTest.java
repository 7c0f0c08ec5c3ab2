package io.harikube.store;

import static io.harikube.testing.Ops.countOnly;
import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.keys;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.range;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** What compaction changes, and what it must not change. */
@OnEveryDatabase
final class CompactionTest {
  @AutoClose private final TestStore store;

  CompactionTest(Database database) {
    store = database.open();
  }

  @Test
  void readsAtAndAboveStayAsTheyWere() {
    Random random = new Random(1);
    TreeMap<Long, List<KeyValue>> states = new TreeMap<>();
    for (int i = 0; i < 120; i++) {
      int n = random.nextInt(8);
      long revision =
          switch (random.nextInt(5)) {
            case 0 -> store.txn(delete("k" + n), put("z", "" + i)).revision();
            case 1 -> store.txn(delete(range("k2", "k" + n)), put("y", "" + i)).revision();
            case 2 -> store.txn(put("k" + n, "a"), delete("k" + n), put("x", "" + i)).revision();
            default -> store.put("k" + n, "v" + i);
          };
      states.put(revision, store.all(0));
    }
    for (long compacted : new long[] {2, 3, 17, 60, 61, 119, store.revision()}) {
      assertThat(store.compact(compacted)).isEqualTo(store.revision());
      states.headMap(compacted).clear();
      check(states);
      assertThat(refusal(() -> store.all(compacted - 1))).isEqualTo(Reason.COMPACTED);
      assertThat(store.log().compactedRevision()).isEqualTo(compacted);
      assertThat(store.store().status().compactedRevision()).isEqualTo(compacted);
    }
    store.reopen();
    check(states);
  }

  private void check(Map<Long, List<KeyValue>> states) {
    states.forEach(
        (revision, state) -> {
          OpResult.Range result = store.range(RangeQuery.of(Ops.ALL).atRevision(revision));
          assertThat(result.kvs()).as("revision %s", revision).isEqualTo(state);
          assertThat(store.range(countOnly(Ops.ALL, 0, revision)).count()).isEqualTo(state.size());
          assertThat(result.count()).isEqualTo(state.size());
        });
  }

  @Test
  void whatIsDoneAlreadyOrNotThereYetIsRefused() {
    store.put("a", "1");
    store.put("a", "2");
    store.put("a", "3");
    assertThat(store.compact(3)).isEqualTo(4);
    assertThat(refusal(() -> store.compact(3))).isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> store.compact(2))).isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> store.compact(5))).isEqualTo(Reason.FUTURE_REVISION);
    assertThat(store.log().compactedRevision()).isEqualTo(3);
    assertThat(store.compact(4)).isEqualTo(4);
    assertThat(refusal(() -> store.compact(4))).isEqualTo(Reason.COMPACTED);
  }

  @Test
  void anEmptyStoreCanBeCompacted() {
    assertThat(store.compact(1)).isEqualTo(1);
    assertThat(store.all(1)).isEmpty();
    assertThat(store.put("a", "1")).isEqualTo(2);
  }

  @Test
  void isRememberedThroughARestart() {
    store.put("a", "1");
    store.put("a", "2");
    store.compact(3);
    store.reopen();
    assertThat(store.log().compactedRevision()).isEqualTo(3);
    assertThat(refusal(() -> store.all(2))).isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> store.compact(3))).isEqualTo(Reason.COMPACTED);
    assertThat(store.revision()).isEqualTo(3);
  }

  @Test
  void deletedKeysDoNotComeBack() {
    store.txn(put("a", "1"), put("b", "1"));
    store.delete("a");
    store.put("b", "2");
    store.compact(3);
    assertThat(keys(store.all(3))).containsExactly("b");
    store.compact(4);
    assertThat(keys(store.all(4))).containsExactly("b");
    store.reopen();
    assertThat(keys(store.all(0))).containsExactly("b");
    store.txn(new Txn.Put(Bytes.of("a"), Bytes.of("3"), 0, true, false, false));
    assertThat(store.get("a")).isEqualTo(new KeyValue(Bytes.of("a"), 5, 5, 1, Bytes.of("3"), 0));
  }

  @Test
  void keepsVersionsAndLeasesOfWhatItKeeps() {
    store.grant(7, 600);
    store.put("a", "1", 7);
    store.put("a", "2", 7);
    store.put("b", "1");
    store.compact(4);
    assertThat(store.get("a")).isEqualTo(new KeyValue(Bytes.of("a"), 2, 3, 2, Bytes.of("2"), 7));
    store.put("a", "3", 7);
    assertThat(store.get("a").version()).isEqualTo(3);
    store.revoke(7);
    assertThat(keys(store.all(0))).containsExactly("b");
    assertThat(keys(store.all(5))).containsExactly("a", "b");
  }

  @Test
  void theLogCanBeReadFromTheCompactedRevisionOn() {
    store.put("a", "1"); // 2
    store.put("a", "2"); // 3
    store.txn(put("a", "3"), put("b", "1")); // 4
    store.delete("b"); // 5
    store.put("a", "4"); // 6
    store.compact(4);
    assertThat(refusal(() -> store.log().read(Ops.ALL, 3, 6, false, 1 << 20)))
        .isEqualTo(Reason.COMPACTED);
    assertThat(store.events(Ops.ALL, 4, 6, false, 1 << 20))
        .extracting(event -> event.kv().key() + "@" + event.revision())
        .containsExactly("a@4", "b@4", "b@5", "a@6");
    List<Event> after = store.events(Ops.ALL, 5, 6, true, 1 << 20);
    assertThat(after.get(0).previous())
        .isEqualTo(new KeyValue(Bytes.of("b"), 4, 4, 1, Bytes.of("1"), 0));
    assertThat(after.get(1).previous())
        .isEqualTo(new KeyValue(Bytes.of("a"), 2, 4, 3, Bytes.of("3"), 0));
  }

  /** etcd keeps the tombstones of the compacted revision for a watch that starts at it. */
  @Test
  void theLogStillHasTheDeletionsOfTheCompactedRevision() {
    store.txn(put("a", "1"), put("b", "1"));
    store.delete("a");
    store.compact(3);
    assertThat(store.events(Ops.ALL, 3, 3, false, 1 << 20))
        .extracting(Event::kv)
        .containsExactly(KeyValue.deleted(Bytes.of("a"), 3));
    assertThat(keys(store.all(3))).containsExactly("b");
  }

  @Test
  void manyRequestsAtOnceAreDoneOneAfterTheOther() {
    for (int i = 0; i < 50; i++) {
      store.put("a", "" + i);
    }
    List<CompletableFuture<Long>> answers =
        List.of(
            store.store().compact(10, true),
            store.store().compact(20, false),
            store.store().compact(20, true),
            store.store().compact(15, true),
            store.store().compact(30, true));
    assertThat(Await.answer(answers.get(0))).isEqualTo(51);
    assertThat(Await.answer(answers.get(1))).isEqualTo(51);
    assertThat(refusal(() -> Await.answer(answers.get(2)))).isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> Await.answer(answers.get(3)))).isEqualTo(Reason.COMPACTED);
    assertThat(Await.answer(answers.get(4))).isEqualTo(51);
    assertThat(store.log().compactedRevision()).isEqualTo(30);
  }

  @Test
  void doesNotHoldUpWritesAndReads() {
    for (int i = 0; i < 20; i++) {
      store.txn(
          java.util.stream.IntStream.range(0, 500)
              .mapToObj(k -> put("k" + k, "v"))
              .toArray(Txn.Op[]::new));
    }
    CompletableFuture<Long> compaction = store.store().compact(store.revision(), true);
    int writes = 0;
    while (!compaction.isDone() || writes < 10) {
      store.put("other", "" + writes++);
      assertThat(store.range(key("k7")).kvs()).hasSize(1);
    }
    assertThat(Await.answer(compaction)).isEqualTo(21);
    assertThat(store.range(countOnly(Ops.prefix("k"), 0, 21)).count()).isEqualTo(500);
  }
}
