package io.harikube.store;

import static io.harikube.testing.Ops.absent;
import static io.harikube.testing.Ops.all;
import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.putWithLease;
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

/** What gets a revision, and what gets none. */
@OnEveryDatabase
final class RevisionTest {
  @AutoClose private final TestStore store;

  RevisionTest(Database database) {
    store = database.open();
  }

  @Test
  void anEmptyStoreIsAtOne() {
    assertThat(store.revision()).isEqualTo(1);
    assertThat(store.range(Ops.ALL)).isEqualTo(new OpResult.Range(1, List.of(), false, 0));
    assertThat(store.store().status().revision()).isEqualTo(1);
    assertThat(store.store().status().compactedRevision()).isEqualTo(0);
    assertThat(store.log().compactedRevision()).isEqualTo(0);
  }

  @Test
  void everyChangeGetsTheNext() {
    assertThat(store.put("a", "1")).isEqualTo(2);
    assertThat(store.put("a", "1")).isEqualTo(3);
    assertThat(store.delete("a")).isEqualTo(4);
    assertThat(store.revision()).isEqualTo(4);
  }

  @Test
  void allChangesOfATransactionShareOne() {
    OpResult.Txn result = store.txn(put("b", "1"), put("a", "1"), put("c", "1"));
    assertThat(result.revision()).isEqualTo(2);
    assertThat(store.all(0)).extracting(KeyValue::modRevision).containsOnly(2L);
    assertThat(store.events(Ops.ALL, 2, 2, false, 1 << 20))
        .extracting(event -> event.kv().key().toString())
        .containsExactly("b", "a", "c");
    assertThat(store.put("a", "2")).isEqualTo(3);
  }

  @Test
  void aFailedCompareThatChangesNothingGetsNone() {
    store.put("a", "1");
    OpResult.Txn result = store.txn(when(absent("a"), List.of(put("a", "2")), List.of(get("a"))));
    assertThat(result.succeeded()).isFalse();
    assertThat(result.revision()).isEqualTo(2);
    assertThat(store.revision()).isEqualTo(2);
    assertThat(store.put("a", "3")).isEqualTo(3);
  }

  @Test
  void aDeletionOfNothingGetsNone() {
    store.put("a", "1");
    OpResult.Txn result = store.txn(delete("b"), delete(range("c", "z")));
    assertThat(result.revision()).isEqualTo(2);
    assertThat(result.results())
        .containsExactly(
            new OpResult.Delete(2, 0, List.of()), new OpResult.Delete(2, 0, List.of()));
    assertThat(store.put("a", "2")).isEqualTo(3);
  }

  @Test
  void readsAndEmptyTransactionsGetNone() {
    store.put("a", "1");
    assertThat(store.txn(all()).revision()).isEqualTo(2);
    assertThat(store.txn(get("a")).revision()).isEqualTo(2);
    assertThat(store.put("a", "2")).isEqualTo(3);
  }

  @Test
  void refusalsGetNone() {
    store.put("a", "1");
    assertThat(refusal(() -> store.txn(putWithLease("a", "2", 7))))
        .isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.txn(put("b", "1"), get(key("a"), 99))))
        .isEqualTo(Reason.FUTURE_REVISION);
    assertThat(store.revision()).isEqualTo(2);
    assertThat(store.find("b")).isNull();
    assertThat(store.put("a", "2")).isEqualTo(3);
  }

  @Test
  void leasesGetNone() {
    store.grant(7, 60);
    store.keepAlive(7);
    store.revoke(7);
    assertThat(store.revision()).isEqualTo(1);
  }

  @Test
  void compactionGetsNone() {
    store.put("a", "1");
    store.put("a", "2");
    assertThat(store.compact(2)).isEqualTo(3);
    assertThat(store.put("a", "3")).isEqualTo(4);
  }

  @Test
  void transactionsAreDoneInTheOrderTheyWereHandedOver() {
    List<CompletableFuture<OpResult.Txn>> answers = new ArrayList<>();
    for (int i = 0; i < 2_000; i++) {
      Txn txn =
          i % 3 == 0
              ? when(absent("a"), List.of(), List.of(get("a")))
              : all(put("a", Integer.toString(i)));
      answers.add(store.store().txn(txn, store.budget().open()));
    }
    long expected = 1;
    for (int i = 0; i < answers.size(); i++) {
      expected += i % 3 == 0 ? 0 : 1;
      assertThat(Await.answer(answers.get(i)).revision())
          .as("transaction %s", i)
          .isEqualTo(expected);
    }
    assertThat(store.get("a").value()).isEqualTo(Bytes.of("1999"));
  }

  @Test
  void whatWasAcknowledgedIsSeenByTheNextRead() {
    for (int i = 0; i < 100; i++) {
      long revision = store.put("a", Integer.toString(i));
      OpResult.Range range = store.range(key("a"));
      assertThat(range.revision()).isEqualTo(revision);
      assertThat(range.kvs().getFirst().modRevision()).isEqualTo(revision);
      assertThat(store.revision()).isEqualTo(revision);
    }
  }
}
