package io.harikube.store;

import static io.harikube.testing.Ops.absent;
import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.deleteWithPrevious;
import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.putWithLease;
import static io.harikube.testing.Ops.putWithPrevious;
import static io.harikube.testing.Ops.range;
import static io.harikube.testing.Ops.when;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Transactions: branches, what their operations see of each other, and all or nothing. */
@OnEveryDatabase
final class TxnTest {
  @AutoClose private final TestStore store;

  TxnTest(Database database) {
    store = database.open();
  }

  private static KeyValue kv(String key, long create, long mod, long version, String value) {
    return new KeyValue(Bytes.of(key), create, mod, version, Bytes.of(value), 0);
  }

  @Test
  void takesTheBranchThatTheComparesChoose() {
    Txn txn = when(absent("a"), List.of(put("a", "1")), List.of(get("a"), delete("a")));
    assertThat(store.txn(txn))
        .isEqualTo(new OpResult.Txn(2, true, List.of(new OpResult.Put(2, null))));
    assertThat(store.txn(txn))
        .isEqualTo(
            new OpResult.Txn(
                3,
                false,
                List.of(
                    new OpResult.Range(2, List.of(kv("a", 2, 2, 1, "1")), false, 1),
                    new OpResult.Delete(3, 1, List.of()))));
  }

  @Test
  void aReadSeesWhatTheOperationsBeforeItDid() {
    store.txn(put("a", "1"), put("b", "1"));
    OpResult.Txn result =
        store.txn(
            get(Ops.ALL),
            put("c", "1"),
            get("c"),
            delete("a"),
            get(Ops.ALL),
            putWithPrevious("b", "2"),
            get(range("a", "c")));
    KeyValue a = kv("a", 2, 2, 1, "1");
    KeyValue b = kv("b", 2, 2, 1, "1");
    KeyValue c = kv("c", 3, 3, 1, "1");
    assertThat(result.results())
        .containsExactly(
            new OpResult.Range(2, List.of(a, b), false, 2),
            new OpResult.Put(3, null),
            new OpResult.Range(3, List.of(c), false, 1),
            new OpResult.Delete(3, 1, List.of()),
            new OpResult.Range(3, List.of(b, c), false, 2),
            new OpResult.Put(3, b),
            new OpResult.Range(3, List.of(kv("b", 2, 3, 2, "2")), false, 1));
  }

  @Test
  void everyOptionOfARangeSeesThemToo() {
    store.txn(put("a", "1"), put("b", "1"), put("c", "1"));
    OpResult.Txn result =
        store.txn(
            delete("b"),
            put("d", "0"),
            new Txn.Range(Ops.countOnly(Ops.ALL, 0, 0)),
            new Txn.Range(RangeQuery.of(Ops.ALL).withLimit(2)),
            new Txn.Range(Ops.sorted(Ops.ALL, 1, RangeQuery.Target.VALUE, RangeQuery.Order.ASCEND)),
            new Txn.Range(Ops.bounded(Ops.ALL, 0, 3, 0, 0, 0)),
            new Txn.Range(Ops.keysOnly(key("d"))));
    KeyValue d = kv("d", 3, 3, 1, "0");
    assertThat(result.results().subList(2, 7))
        .containsExactly(
            new OpResult.Range(3, List.of(), false, 3),
            new OpResult.Range(3, List.of(kv("a", 2, 2, 1, "1"), kv("c", 2, 2, 1, "1")), true, 3),
            new OpResult.Range(3, List.of(d), true, 3),
            new OpResult.Range(3, List.of(d), false, 3),
            new OpResult.Range(3, List.of(kv("d", 3, 3, 1, "")), false, 1));
  }

  @Test
  void aReadOfAnOldRevisionSeesThatRevision() {
    store.put("a", "1");
    store.put("a", "2");
    OpResult.Txn result = store.txn(put("a", "3"), get(key("a"), 2), get(key("a"), 3));
    assertThat(result.results().subList(1, 3))
        .containsExactly(
            new OpResult.Range(4, List.of(kv("a", 2, 2, 1, "1")), false, 1),
            new OpResult.Range(4, List.of(kv("a", 2, 3, 2, "2")), false, 1));
  }

  @Test
  void aDeletionSeesWhatTheOperationsBeforeItDid() {
    store.put("a", "1");
    OpResult.Txn result =
        store.txn(put("b", "1"), deleteWithPrevious(Ops.ALL), deleteWithPrevious(Ops.ALL));
    assertThat(result.results())
        .containsExactly(
            new OpResult.Put(3, null),
            new OpResult.Delete(3, 2, List.of(kv("a", 2, 2, 1, "1"), kv("b", 3, 3, 1, "1"))),
            new OpResult.Delete(3, 0, List.of()));
    assertThat(store.all(0)).isEmpty();
  }

  @Test
  void aKeyDeletedAndSetAgainBeginsAnew() {
    store.put("a", "1");
    store.put("a", "2");
    store.txn(delete("a"), put("a", "3"));
    assertThat(store.get("a")).isEqualTo(kv("a", 4, 4, 1, "3"));
    store.txn(put("a", "4"), delete("a"));
    assertThat(store.find("a")).isNull();
    store.txn(put("a", "5"), put("a", "6"));
    assertThat(store.get("a")).isEqualTo(kv("a", 6, 6, 2, "6"));
    assertThat(store.all(4)).containsExactly(kv("a", 4, 4, 1, "3"));
  }

  @Test
  void aRefusedOperationKeepsAllOthersFromBeingDone() {
    store.put("a", "1");
    store.put("a", "2");
    store.compact(3);
    Txn.Put missing = new Txn.Put(Bytes.of("x"), Bytes.EMPTY, 0, false, true, false);
    assertThat(refusal(() -> store.txn(put("b", "1"), missing))).isEqualTo(Reason.KEY_NOT_FOUND);
    assertThat(refusal(() -> store.txn(delete("a"), putWithLease("b", "1", 99))))
        .isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.txn(put("b", "1"), get(key("a"), 4))))
        .isEqualTo(Reason.FUTURE_REVISION);
    assertThat(refusal(() -> store.txn(put("b", "1"), get(key("a"), 2))))
        .isEqualTo(Reason.COMPACTED);
    assertThat(store.all(0)).containsExactly(kv("a", 2, 3, 2, "2"));
    assertThat(store.revision()).isEqualTo(3);
    assertThat(store.events(Ops.ALL, 3, 3, false, 1 << 20)).hasSize(1);
  }

  @Test
  void whatTheOtherBranchWouldBeRefusedForDoesNotMatter() {
    Txn txn = when(absent("a"), List.of(put("a", "1")), List.of(putWithLease("b", "1", 99)));
    assertThat(store.txn(txn).succeeded()).isTrue();
    assertThat(refusal(() -> store.txn(txn))).isEqualTo(Reason.LEASE_NOT_FOUND);
  }

  /** Transactions that are committed together must not share their failures. */
  @Test
  void aRefusedTransactionDoesNotHarmItsNeighbours() {
    List<CompletableFuture<OpResult.Txn>> answers = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      Txn txn =
          i % 10 == 5
              ? Ops.all(put("bad" + i, "1"), putWithLease("bad", "1", 99))
              : Ops.all(put("good" + i, "1"), get("good" + (i - 1)));
      answers.add(store.store().txn(txn, store.budget().open()));
    }
    long revision = 1;
    for (int i = 0; i < answers.size(); i++) {
      CompletableFuture<OpResult.Txn> answer = answers.get(i);
      if (i % 10 == 5) {
        assertThat(refusal(() -> Await.answer(answer))).isEqualTo(Reason.LEASE_NOT_FOUND);
      } else {
        assertThat(Await.answer(answer).revision()).isEqualTo(++revision);
      }
    }
    assertThat(store.range(Ops.countOnly(prefix("good"), 0, 0)).count()).isEqualTo(270);
    assertThat(store.range(Ops.countOnly(prefix("bad"), 0, 0)).count()).isEqualTo(0);
  }
}
