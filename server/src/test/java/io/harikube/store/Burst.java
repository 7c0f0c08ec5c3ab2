package io.harikube.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Model;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Transactions in flight at the same time, and the one order of them that explains all answers.
 *
 * <p>What changed something has a revision of its own; what changed nothing shows the revision that
 * it found. So the answers themselves say in which order the transactions were done; the model does
 * them in this order and has to answer the same.
 */
final class Burst {
  private final List<Flight> flights = new ArrayList<>();

  /** A transaction and its answer. */
  private static final class Flight {
    final Txn txn;
    final MemoryBudget.Share share;
    final CompletableFuture<OpResult.Txn> answer;

    Flight(TestStore store, Txn txn) {
      this.txn = txn;
      this.share = store.budget().open();
      this.answer = store.store().txn(txn, share);
    }

    OpResult.@Nullable Txn result() {
      try {
        return Await.answer(answer);
      } catch (StoreException e) {
        return null;
      } finally {
        share.close();
      }
    }

    Reason refusal() {
      return TestStore.refusal(() -> Await.answer(answer));
    }
  }

  int size() {
    return flights.size();
  }

  /** Hands transactions over from this thread, which are done in this order. */
  void submit(TestStore store, List<Txn> txns) {
    for (Txn txn : txns) {
      flights.add(new Flight(store, txn));
    }
  }

  /** Hands transactions over from several threads. */
  void submitFromThreads(TestStore store, List<List<Txn>> shares) {
    List<CompletableFuture<List<Flight>>> threads = new ArrayList<>();
    for (List<Txn> share : shares) {
      threads.add(
          CompletableFuture.supplyAsync(
              () -> share.stream().map(txn -> new Flight(store, txn)).toList(),
              task -> Thread.ofVirtual().start(task)));
    }
    threads.forEach(thread -> flights.addAll(Await.answer(thread)));
  }

  void awaitAnswers(int count) {
    Await.until(
        "answers",
        () -> flights.stream().filter(flight -> flight.answer.isDone()).count() >= count);
  }

  /** The last revision that has been acknowledged so far. */
  long acknowledged() {
    return flights.stream()
        .filter(flight -> flight.answer.isDone() && !flight.answer.isCompletedExceptionally())
        .mapToLong(flight -> flight.answer.join().revision())
        .max()
        .orElse(0);
  }

  /**
   * Waits for all answers and brings the model to where the store is.
   *
   * @param inOrder whether the transactions must have been done in the order they were handed over
   * @param mayBeUnavailable whether the database was away, so that some may not have been done
   */
  void explain(Model model, boolean inOrder, boolean mayBeUnavailable) {
    TreeMap<Long, Flight> changes = new TreeMap<>();
    TreeMap<Long, List<Flight>> others = new TreeMap<>();
    List<Flight> refused = new ArrayList<>();
    long last = 0;
    for (Flight flight : flights) {
      OpResult.Txn result = flight.result();
      if (result == null) {
        if (!mayBeUnavailable || flight.refusal() != Reason.UNAVAILABLE) {
          refused.add(flight);
        }
        continue;
      }
      if (inOrder) {
        assertThat(result.revision())
            .as("the order of %s", flight.txn)
            .isGreaterThanOrEqualTo(last);
        last = result.revision();
      }
      if (changed(result)) {
        assertThat(changes.put(result.revision(), flight))
            .as("another change of revision %s", result.revision())
            .isNull();
      } else {
        others.computeIfAbsent(result.revision(), _ -> new ArrayList<>()).add(flight);
      }
    }
    replay(model, changes, others, refused);
  }

  private static void replay(
      Model model,
      NavigableMap<Long, Flight> changes,
      Map<Long, List<Flight>> others,
      List<Flight> refused) {
    while (true) {
      for (Flight flight : others.getOrDefault(model.revision(), List.of())) {
        check(model, flight);
      }
      others.remove(model.revision());
      refused.removeIf(flight -> flight.refusal() == dryRun(model, flight.txn));
      if (changes.isEmpty()) {
        break;
      }
      assertThat(changes.firstKey()).as("the next change").isEqualTo(model.revision() + 1);
      check(model, changes.pollFirstEntry().getValue());
    }
    assertThat(others).as("answers of revisions that were never there").isEmpty();
    for (Flight flight : refused) {
      assertThat(flight.answer).as("no state explains the refusal of %s", flight.txn).isNull();
    }
  }

  private static void check(Model model, Flight flight) {
    OpResult.Txn expected;
    try {
      expected = model.txn(flight.txn);
    } catch (StoreException e) {
      throw new AssertionError("should have been refused for " + e.reason() + ": " + flight.txn, e);
    }
    assertThat(flight.answer.join()).as("the answer to %s", flight.txn).isEqualTo(expected);
  }

  private static @Nullable Reason dryRun(Model model, Txn txn) {
    StoreException accepted = new StoreException(Reason.REFUSED, "a dry run");
    try {
      model.txn(
          txn,
          _ -> {
            throw accepted;
          });
      return null;
    } catch (StoreException e) {
      return e == accepted ? null : e.reason();
    }
  }

  static boolean changed(OpResult result) {
    return switch (result) {
      case OpResult.Put _ -> true;
      case OpResult.Range _ -> false;
      case OpResult.Delete delete -> delete.deleted() > 0;
      case OpResult.Txn txn -> txn.results().stream().anyMatch(Burst::changed);
    };
  }
}
