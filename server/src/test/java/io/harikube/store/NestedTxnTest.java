package io.harikube.store;

import static io.harikube.testing.Ops.absent;
import static io.harikube.testing.Ops.all;
import static io.harikube.testing.Ops.compareValue;
import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.keys;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.putWithLease;
import static io.harikube.testing.Ops.when;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.store.Txn.Compare.Relation;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Transactions within transactions. */
@OnEveryDatabase
final class NestedTxnTest {
  @AutoClose private final TestStore store;

  NestedTxnTest(Database database) {
    store = database.open();
  }

  private static Txn.Nested nested(Txn txn) {
    return new Txn.Nested(txn);
  }

  private static OpResult.Txn inner(OpResult.Txn outer, int index) {
    return (OpResult.Txn) outer.results().get(index);
  }

  @Test
  void sharesTheRevisionOfTheWhole() {
    OpResult.Txn result =
        store.txn(
            put("a", "1"),
            nested(all(put("b", "1"), nested(all(put("c", "1"), get("a"))))),
            put("d", "1"));
    assertThat(result.revision()).isEqualTo(2);
    assertThat(store.all(0)).extracting(KeyValue::modRevision).containsExactly(2L, 2L, 2L, 2L);
    assertThat(store.events(Ops.ALL, 2, 2, false, 1 << 20))
        .extracting(event -> event.kv().key().toString())
        .containsExactly("a", "b", "c", "d");
    OpResult.Range read = (OpResult.Range) inner(inner(result, 1), 1).results().get(1);
    assertThat(read.revision()).isEqualTo(2);
    assertThat(keys(read.kvs())).containsExactly("a");
  }

  @Test
  void itsComparesLookAtTheStateBeforeTheWhole() {
    store.put("a", "old");
    OpResult.Txn result =
        store.txn(
            put("a", "new"),
            put("b", "1"),
            nested(
                when(
                    compareValue(key("a"), Relation.EQUAL, "old"),
                    List.of(put("saw", "old"), get("a")),
                    List.of(put("saw", "new")))),
            nested(when(absent("b"), List.of(put("b2", "1")), List.of())));
    assertThat(inner(result, 2).succeeded()).isTrue();
    assertThat(inner(result, 3).succeeded()).isTrue();
    assertThat(store.get("saw").value()).isEqualTo(Bytes.of("old"));
    OpResult.Range read = (OpResult.Range) inner(result, 2).results().get(1);
    assertThat(read.kvs().getFirst().value()).isEqualTo(Bytes.of("new"));
  }

  @Test
  void takesItsOwnBranch() {
    store.put("a", "1");
    Txn inner = when(absent("a"), List.of(put("yes", "1")), List.of(put("no", "1")));
    OpResult.Txn result =
        store.txn(when(absent("x"), List.of(nested(inner)), List.of(put("never", "1"))));
    assertThat(result.succeeded()).isTrue();
    assertThat(inner(result, 0).succeeded()).isFalse();
    assertThat(keys(store.all(0))).containsExactly("a", "no");
  }

  @Test
  void aBranchThatIsNotTakenIsNotLookedAt() {
    Txn refused = all(putWithLease("b", "1", 99), get(key("b"), 1_000));
    OpResult.Txn result =
        store.txn(when(absent("a"), List.of(put("a", "1")), List.of(nested(refused))));
    assertThat(result.succeeded()).isTrue();
    assertThat(result.revision()).isEqualTo(2);
  }

  @Test
  void aRefusalWithinRefusesTheWhole() {
    assertThat(
            refusal(
                () ->
                    store.txn(put("a", "1"), nested(all(nested(all(putWithLease("b", "1", 9))))))))
        .isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.txn(put("a", "1"), nested(all(get(key("b"), 5))))))
        .isEqualTo(Reason.FUTURE_REVISION);
    assertThat(store.revision()).isEqualTo(1);
    assertThat(store.all(0)).isEmpty();
  }

  @Test
  void oneThatOnlyReadsGetsNoRevision() {
    store.put("a", "1");
    Txn reads = all(nested(all(get("a"), nested(all(get("b"))))));
    assertThat(reads.isReadOnly()).isTrue();
    assertThat(store.txn(reads).revision()).isEqualTo(2);
    assertThat(store.put("a", "2")).isEqualTo(3);
    assertThat(all(nested(all(put("a", "1")))).isReadOnly()).isFalse();
  }
}
