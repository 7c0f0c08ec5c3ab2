package io.harikube.store;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.putWithLease;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Granting and ending leases, and the keys that are attached to them. */
@OnEveryDatabase
final class LeaseTest {
  @AutoClose private final TestStore store;

  LeaseTest(Database database) {
    store = database.open();
  }

  private List<String> keysOf(long id) {
    return store.lease(id).keys().stream().map(Bytes::toString).toList();
  }

  @Test
  void grantsTheIdThatWasAskedFor() {
    Lease lease = store.grant(77, 60);
    assertThat(lease).isEqualTo(new Lease(77, 60, store.clock().millis() + 60_000, List.of()));
    assertThat(store.store().lease(77, false)).isEqualTo(lease);
    assertThat(store.store().leases()).containsExactly(77L);
  }

  @Test
  void choosesAnIdIfNoneWasAskedFor() {
    Lease one = store.grant(0, 60);
    Lease other = store.grant(0, 60);
    assertThat(one.id()).isPositive();
    assertThat(other.id()).isPositive().isNotEqualTo(one.id());
    assertThat(store.store().leases()).containsExactlyInAnyOrder(one.id(), other.id());
  }

  @Test
  void takesAnyIdButNotTwice() {
    store.grant(Long.MAX_VALUE, 60);
    store.grant(1, 60);
    assertThat(refusal(() -> store.grant(1, 90))).isEqualTo(Reason.LEASE_EXISTS);
    assertThat(store.store().leases()).containsExactly(1L, Long.MAX_VALUE);
    assertThat(store.store().lease(1, false))
        .isEqualTo(new Lease(1, 60, store.clock().millis() + 60_000, List.of()));
  }

  @Test
  void ofTwoGrantsOfOneIdAtTheSameTimeOneIsRefused() {
    CompletableFuture<Lease> first = store.store().grant(5, 60);
    CompletableFuture<Lease> second = store.store().grant(5, 60);
    assertThat(Await.answer(first).id()).isEqualTo(5);
    assertThat(refusal(() -> Await.answer(second))).isEqualTo(Reason.LEASE_EXISTS);
  }

  @Test
  void aShortTtlIsMadeTheShortestThereIs() {
    assertThat(store.grant(1, 1).grantedTtl()).isEqualTo(2);
    assertThat(store.grant(2, 2).grantedTtl()).isEqualTo(2);
    assertThat(store.grant(3, 3).grantedTtl()).isEqualTo(3);
  }

  @Test
  void whatIsNotThereIsNotFound() {
    assertThat(store.store().lease(5, true)).isNull();
    assertThat(refusal(() -> store.revoke(5))).isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.keepAlive(5))).isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.put("a", "1", 5))).isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(store.store().leases()).isEmpty();
  }

  @Test
  void keepAliveGivesTheWholeTimeAgain() {
    store.grant(7, 60);
    store.clock().advance(Duration.ofSeconds(50));
    Lease renewed = store.keepAlive(7);
    assertThat(renewed).isEqualTo(new Lease(7, 60, store.clock().millis() + 60_000, List.of()));
    assertThat(store.store().lease(7, false)).isEqualTo(renewed);
  }

  @Test
  void listsItsKeysInOrder() {
    store.grant(7, 60);
    store.grant(8, 60);
    assertThat(keysOf(7)).isEmpty();
    store.txn(putWithLease("c", "1", 7), putWithLease("a", "1", 7), putWithLease("b", "1", 8));
    assertThat(keysOf(7)).containsExactly("a", "c");
    assertThat(keysOf(8)).containsExactly("b");
    assertThat(store.store().lease(7, false)).extracting(Lease::keys).isEqualTo(List.of());
  }

  @Test
  void aPutWithoutALeaseDetaches() {
    store.grant(7, 60);
    store.put("a", "1", 7);
    store.put("a", "2");
    assertThat(keysOf(7)).isEmpty();
    assertThat(store.get("a").lease()).isEqualTo(0);
    store.revoke(7);
    assertThat(store.get("a").value()).isEqualTo(Bytes.of("2"));
  }

  @Test
  void aPutWithAnotherLeaseMovesTheKey() {
    store.grant(7, 60);
    store.grant(8, 60);
    store.put("a", "1", 7);
    store.put("a", "2", 8);
    assertThat(keysOf(7)).isEmpty();
    assertThat(keysOf(8)).containsExactly("a");
    store.revoke(7);
    assertThat(store.find("a")).isNotNull();
    store.revoke(8);
    assertThat(store.find("a")).isNull();
  }

  @Test
  void aDeletionDetaches() {
    store.grant(7, 60);
    store.put("a", "1", 7);
    store.delete("a");
    assertThat(keysOf(7)).isEmpty();
    store.put("a", "2");
    store.revoke(7);
    assertThat(store.get("a").value()).isEqualTo(Bytes.of("2"));
  }

  @Test
  void revokingDeletesItsKeysAtOneRevision() {
    store.grant(7, 60);
    store.txn(putWithLease("c", "1", 7), putWithLease("a", "1", 7), put("b", "1"));
    assertThat(store.revoke(7)).isEqualTo(3);
    assertThat(Ops.keys(store.all(0))).containsExactly("b");
    assertThat(Ops.keys(store.all(2))).containsExactly("a", "b", "c");
    List<Event> events = store.events(Ops.ALL, 3, 3, true, 1 << 20);
    assertThat(events).hasSize(2).allMatch(event -> event.previous() != null);
    assertThat(events)
        .extracting(Event::kv)
        .containsExactlyInAnyOrder(
            KeyValue.deleted(Bytes.of("a"), 3), KeyValue.deleted(Bytes.of("c"), 3));
    assertThat(store.store().lease(7, false)).isNull();
    assertThat(refusal(() -> store.revoke(7))).isEqualTo(Reason.LEASE_NOT_FOUND);
  }

  @Test
  void revokingOneWithoutKeysGetsNoRevision() {
    store.put("a", "1");
    store.grant(7, 60);
    assertThat(store.revoke(7)).isEqualTo(2);
    assertThat(store.revision()).isEqualTo(2);
  }

  @Test
  void anIdMayBeGrantedAgainAfterwards() {
    store.grant(7, 60);
    store.put("a", "1", 7);
    store.revoke(7);
    store.grant(7, 90);
    assertThat(keysOf(7)).isEmpty();
    store.put("b", "1", 7);
    assertThat(keysOf(7)).containsExactly("b");
  }

  /** Granted, used and ended within what may well be one commit. */
  @Test
  void leasesAndTransactionsKeepTheOrderTheyWereHandedOverIn() {
    List<CompletableFuture<?>> answers = new ArrayList<>();
    for (long id = 1; id <= 50; id++) {
      answers.add(store.store().grant(id, 60));
      Txn txn = Ops.all(putWithLease("k" + id, "1", id), putWithLease("l" + id, "1", id));
      answers.add(store.store().txn(txn, store.budget().open()));
      if (id % 2 == 0) {
        answers.add(store.store().revoke(id));
      }
    }
    answers.forEach(Await::answer);
    assertThat(store.revision()).isEqualTo(1 + 50 + 25);
    assertThat(store.store().leases()).hasSize(25).allMatch(id -> id % 2 == 1);
    assertThat(store.all(0)).hasSize(50).allMatch(kv -> kv.lease() % 2 == 1);
  }

  @Test
  void aKeySetTwiceInATransactionHasTheLastLease() {
    store.grant(7, 60);
    store.grant(8, 60);
    store.txn(putWithLease("a", "1", 7), delete("a"), putWithLease("a", "2", 8));
    assertThat(keysOf(7)).isEmpty();
    assertThat(keysOf(8)).containsExactly("a");
  }
}
