package io.harikube.sql;

import static io.harikube.testing.Ops.put;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Two stores on one database: only one of them ever writes. */
final class TwoStoresTest {

  private static OpResult.Range all(Store store) {
    try (MemoryBudget.Share share = new MemoryBudget(64 << 20).open()) {
      return store.range(RangeQuery.of(Ops.ALL), share);
    }
  }

  @Test
  void aSqliteFileInUseIsRefused() {
    try (TestStore store = Database.SQLITE.open()) {
      store.put("a", "1");
      for (int i = 0; i < 3; i++) {
        OpenException refused =
            catchThrowableOfType(OpenException.class, () -> store.openAgain().close());
        assertThat(refused).isNotNull();
        assertThat(refused.getMessage()).contains("in use").doesNotContain("\n");
      }
      assertThat(store.put("a", "2")).isEqualTo(3);
      store.reopen();
      assertThat(store.put("a", "3")).isEqualTo(4);
    }
  }

  @Test
  void theFirstOfTwoOnPostgresWritesNoMore() throws OpenException {
    try (TestStore first = Database.POSTGRES.open()) {
      first.grant(7, 3_600);
      first.put("a", "first", 7);
      try (Store second = first.openAgain()) {
        assertThat(second.identity().term()).isGreaterThan(first.store().identity().term());
        assertThat(refusal(() -> first.put("a", "lost"))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(refusal(() -> first.put("b", "lost"))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(refusal(() -> first.grant(8, 60))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(refusal(() -> first.keepAlive(7))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(refusal(() -> first.revoke(7))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(refusal(() -> first.compact(2))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(all(second).kvs()).hasSize(1);
        assertThat(all(second).revision()).isEqualTo(2);
        try (MemoryBudget.Share share = first.budget().open()) {
          Await.answer(second.txn(Ops.all(put("a", "second")), share));
        }
        assertThat(refusal(() -> first.put("a", "lost"))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(second.leases()).containsExactly(7L);
        assertThat(all(second).kvs().getFirst().value().toString()).isEqualTo("second");
      }
    }
  }

  /** The next revision of the first is one that the second has used. */
  @Test
  void theFirstIsToldSoAlsoOnceTheSecondHasWritten() throws OpenException {
    try (TestStore first = Database.POSTGRES.open()) {
      first.put("a", "first");
      try (Store second = first.openAgain();
          MemoryBudget.Share share = first.budget().open()) {
        Await.answer(second.txn(Ops.all(put("b", "second")), share));
        assertThat(refusal(() -> first.put("c", "lost"))).isEqualTo(Reason.UNAVAILABLE);
        assertThat(Ops.keys(all(second).kvs())).containsExactly("a", "b");
      }
    }
  }

  /** It has ended, although nobody has asked it for anything. */
  @Test
  void theFirstNoticesByItself() throws Exception {
    try (TestStore first = Database.POSTGRES.open()) {
      first.put("a", "first");
      assertThat(first.store().ended()).isNotDone();
      try (Store second = first.openAgain()) {
        assertThat(Await.answer(first.store().ended())).contains("another server");
        assertThat(second.ended()).isNotDone();
      }
    }
  }

  /**
   * Its supervisor starts it again and again: it is not to take the database from one that lives.
   */
  @Test
  void whoWasDeposedWaitsForTheOtherToEnd() throws Exception {
    try (TestStore first = Database.POSTGRES.open(options -> options.as(1))) {
      first.put("a", "first");
      Store second = SqlStore.open(first.options().as(2), first.clock());
      Await.answer(first.store().ended());
      CompletableFuture<Store> again = new CompletableFuture<>();
      Thread starting =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      again.complete(SqlStore.open(first.options(), first.clock()));
                    } catch (OpenException e) {
                      again.completeExceptionally(e);
                    }
                  });
      for (int i = 0; i < 3; i++) {
        try (MemoryBudget.Share share = first.budget().open()) {
          Await.answer(second.txn(Ops.all(put("a", "second" + i)), share));
        }
        assertThat(again).isNotDone();
      }
      assertThat(second.ended()).isNotDone();
      second.close();
      try (Store store = Await.answer(again)) {
        assertThat(all(store).kvs().getFirst().value().toString()).isEqualTo("second2");
      }
      starting.join();
    }
  }

  /** A transaction that changes nothing would answer with what the second has written. */
  @Test
  void theFirstDoesNotReadInTransactionsEither() throws OpenException {
    try (TestStore first = Database.POSTGRES.open()) {
      first.put("a", "first");
      try (Store second = first.openAgain();
          MemoryBudget.Share share = first.budget().open()) {
        Await.answer(second.txn(Ops.all(put("a", "second")), share));
        assertThat(refusal(() -> first.txn(Ops.get("a")))).isEqualTo(Reason.UNAVAILABLE);
      }
    }
  }

  /** While the first one is at work: what it acknowledged is there, what it refused is not. */
  @Test
  void aTakeoverLosesNothingThatWasAcknowledged() throws OpenException {
    try (TestStore first = Database.POSTGRES.open()) {
      List<CompletableFuture<OpResult.Txn>> answers = new ArrayList<>();
      for (int i = 0; i < 3_000; i++) {
        answers.add(first.store().txn(Ops.all(put("k" + i, "v")), first.budget().open()));
      }
      Await.until("some answers", () -> answers.get(100).isDone());
      try (Store second = first.openAgain()) {
        Set<String> acknowledged = new HashSet<>();
        for (int i = 0; i < answers.size(); i++) {
          try {
            Await.answer(answers.get(i));
            acknowledged.add("k" + i);
          } catch (StoreException e) {
            assertThat(e.reason()).isEqualTo(Reason.UNAVAILABLE);
          }
        }
        assertThat(new HashSet<>(Ops.keys(all(second).kvs()))).isEqualTo(acknowledged);
        assertThat(all(second).revision()).isEqualTo(acknowledged.size() + 1L);
        assertThat(second.revision()).isEqualTo(acknowledged.size() + 1L);
      }
    }
  }
}
