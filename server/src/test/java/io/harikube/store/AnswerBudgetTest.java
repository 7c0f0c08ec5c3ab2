package io.harikube.store;

import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.put;
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
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** The memory of answers is counted before it is taken. */
@OnEveryDatabase
final class AnswerBudgetTest {
  private static final int KEYS = 400;
  private static final int VALUE = 1_000;
  private static final long ANSWER = KEYS * (VALUE + 160 + 4L);

  @AutoClose private final TestStore store;

  AnswerBudgetTest(Database database) {
    store = database.open();
    store.txn(
        IntStream.range(0, KEYS)
            .mapToObj(i -> put("k%03d".formatted(i), "v".repeat(VALUE)))
            .toArray(Txn.Op[]::new));
  }

  @Test
  void anAnswerIsCounted() {
    MemoryBudget budget = new MemoryBudget(8 * ANSWER);
    try (MemoryBudget.Share share = budget.open()) {
      assertThat(store.store().range(RangeQuery.of(Ops.ALL), share).kvs()).hasSize(KEYS);
      assertThat(share.held()).isBetween(ANSWER, 2 * ANSWER);
      assertThat(budget.used()).isEqualTo(share.held());
    }
    assertThat(budget.used()).isEqualTo(0);
  }

  @Test
  void anAnswerOfATransactionIsCounted() {
    MemoryBudget budget = new MemoryBudget(8 * ANSWER);
    try (MemoryBudget.Share share = budget.open()) {
      Txn txn = Ops.all(put("a", "1"), get(Ops.ALL), Ops.deleteWithPrevious(Ops.ALL));
      Await.answer(store.store().txn(txn, share));
      assertThat(share.held()).isBetween(2 * ANSWER, 4 * ANSWER);
    }
    assertThat(budget.used()).isEqualTo(0);
  }

  @Test
  void whatCanNeverFitIsRefused() {
    MemoryBudget budget = new MemoryBudget(ANSWER / 2);
    try (MemoryBudget.Share share = budget.open()) {
      assertThat(refusal(() -> store.store().range(RangeQuery.of(Ops.ALL), share)))
          .isEqualTo(Reason.TOO_LARGE);
    }
    assertThat(budget.used()).isEqualTo(0);
    try (MemoryBudget.Share share = budget.open()) {
      RangeQuery page = RangeQuery.of(Ops.ALL).withLimit(KEYS / 4);
      assertThat(store.store().range(page, share).kvs()).hasSize(KEYS / 4);
    }
    try (MemoryBudget.Share share = budget.open()) {
      assertThat(store.store().range(Ops.keysOnly(Ops.ALL), share).kvs()).hasSize(KEYS);
    }
  }

  @Test
  void aTransactionWhoseAnswerCanNeverFitIsNotDone() {
    MemoryBudget budget = new MemoryBudget(ANSWER / 2);
    for (Txn.Op op : List.<Txn.Op>of(get(Ops.ALL), Ops.deleteWithPrevious(Ops.ALL))) {
      try (MemoryBudget.Share share = budget.open()) {
        Txn txn = Ops.all(put("a", "1"), op);
        assertThat(refusal(() -> Await.answer(store.store().txn(txn, share))))
            .isEqualTo(Reason.TOO_LARGE);
      }
      assertThat(budget.used()).isEqualTo(0);
    }
    assertThat(store.revision()).isEqualTo(2);
    assertThat(store.find("a")).isNull();
    assertThat(store.put("a", "1")).isEqualTo(3);
  }

  @Test
  void anAnswerThatJustFitsIsGiven() {
    MemoryBudget budget = new MemoryBudget(ANSWER + 10_000);
    try (MemoryBudget.Share share = budget.open()) {
      assertThat(store.store().range(RangeQuery.of(Ops.ALL), share).kvs()).hasSize(KEYS);
    }
    try (MemoryBudget.Share share = budget.open()) {
      OpResult.Txn result = Await.answer(store.store().txn(Ops.all(get(Ops.ALL)), share));
      assertThat(result.results()).hasSize(1);
    }
  }

  @Test
  void manyLargeAnswersTakeTurns() throws Exception {
    MemoryBudget budget = new MemoryBudget(5 * ANSWER / 2);
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<CompletableFuture<Integer>> reads = new ArrayList<>();
      for (int i = 0; i < 60; i++) {
        RangeQuery query =
            i % 3 == 0
                ? RangeQuery.of(Ops.ALL).atRevision(2)
                : Ops.sorted(
                    Ops.ALL, i % 3 == 1 ? 0 : 100, RangeQuery.Target.MOD, RangeQuery.Order.DESCEND);
        reads.add(
            CompletableFuture.supplyAsync(
                () -> {
                  try (MemoryBudget.Share share = budget.open()) {
                    int found = store.store().range(query, share).kvs().size();
                    assertThat(budget.used()).isLessThanOrEqualTo(budget.capacity());
                    return found;
                  }
                },
                threads));
      }
      for (int i = 0; i < reads.size(); i++) {
        assertThat(Await.answer(reads.get(i))).isEqualTo(i % 3 == 2 ? 100 : KEYS);
      }
    }
    assertThat(budget.used()).isEqualTo(0);
  }
}
