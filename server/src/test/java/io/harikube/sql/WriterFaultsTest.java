package io.harikube.sql;

import static io.harikube.testing.Ops.put;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.FaultyDialect.Fault;
import io.harikube.store.Commit;
import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Whatever fails between the writer and its database, and whenever: what it answers is the truth.
 */
@OnSqlDatabases
final class WriterFaultsTest {
  private static final List<Fault> FAULTS = List.of(Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.ERROR);

  private final Database database;

  WriterFaultsTest(Database database) {
    this.database = database;
  }

  private static CompletableFuture<OpResult.Txn> submit(TestStore store, String key, String value) {
    return store
        .store()
        .txn(Ops.all(put(key, value), put("both/" + key, value)), store.budget().open());
  }

  /** One fault in each call, each way; the operation is done once, or refused and not done. */
  @ParameterizedTest
  @CsvSource({
    "begin, CUT_BEFORE", "begin, CUT_AFTER", "begin, ERROR",
    "fetch, CUT_BEFORE", "fetch, CUT_AFTER", "fetch, ERROR",
    "commit, CUT_BEFORE", "commit, CUT_AFTER", "commit, ERROR",
  })
  void aFaultInAnyCallCostsNothing(String wanted, Fault fault) {
    AtomicBoolean armed = new AtomicBoolean();
    try (TestStore store =
        database.openFaulty(
            call -> call.equals(wanted) && armed.compareAndSet(true, false) ? fault : Fault.NONE)) {
      List<Event> events = new ArrayList<>();
      store.log().subscribe(commit -> events.addAll(requireNonNull(commit.events())));
      store.put("before", "1");
      armed.set(true);
      boolean done = answered(submit(store, "a", "x"));
      assertThat(armed).isFalse();
      assertThat(done || fault == Fault.ERROR).isTrue();
      assertThat(store.find("a") != null).isEqualTo(done);
      assertThat(store.put("after", "1")).isEqualTo(done ? 4 : 3);
      assertThat(events).hasSize(done ? 4 : 2);
    }
  }

  private static boolean answered(CompletableFuture<OpResult.Txn> answer) {
    try {
      Await.answer(answer);
      return true;
    } catch (StoreException e) {
      return false;
    }
  }

  /** Many clients, and a fault in one call of twenty. */
  @Test
  void nothingIsLostOrDoneTwice() throws InterruptedException {
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    AtomicInteger armed = new AtomicInteger();
    try (TestStore store =
        database.openFaulty(
            call -> {
              if (armed.get() == 0) {
                return Fault.NONE;
              }
              int kind = random.nextInt(60);
              return kind < FAULTS.size() ? FAULTS.get(kind) : Fault.NONE;
            })) {
      ConcurrentLinkedQueue<Commit> commits = new ConcurrentLinkedQueue<>();
      store.log().subscribe(commits::add);
      armed.set(1);
      Map<String, Long> acknowledged = new ConcurrentHashMap<>();
      Map<String, Reason> refused = new ConcurrentHashMap<>();
      long end = System.nanoTime() + Duration.ofSeconds(4).toNanos();
      List<Thread> clients = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        String client = "c" + i;
        clients.add(
            Thread.ofVirtual()
                .start(
                    () -> {
                      for (int n = 0; System.nanoTime() - end < 0; n++) {
                        String value = client + "-" + n;
                        try {
                          OpResult.Txn answer = Await.answer(submit(store, client, value));
                          acknowledged.put(value, answer.revision());
                        } catch (StoreException e) {
                          refused.put(value, e.reason());
                        }
                      }
                    }));
      }
      for (Thread client : clients) {
        client.join();
      }
      armed.set(0);
      store.put("last", "1");
      check(store, commits, acknowledged, refused, "seed " + seed);
    }
  }

  private static void check(
      TestStore store,
      ConcurrentLinkedQueue<Commit> commits,
      Map<String, Long> acknowledged,
      Map<String, Reason> refused,
      String seed) {
    Map<String, Long> done = new TreeMap<>();
    Map<String, KeyValue> state = new TreeMap<>();
    long next = 2;
    for (Commit commit : commits) {
      assertThat(commit.firstRevision()).as(seed).isEqualTo(next);
      next = commit.lastRevision() + 1;
      for (Event event : requireNonNull(commit.events())) {
        state.put(event.kv().key().toString(), event.kv());
        if (!event.kv().key().toString().startsWith("both/")) {
          Long before = done.put(event.kv().value().toString(), event.revision());
          assertThat(before).as("%s: %s was done twice", seed, event.kv().value()).isNull();
        }
      }
    }
    assertThat(acknowledged).as(seed).isNotEmpty();
    assertThat(done).as(seed).containsAllEntriesOf(acknowledged);
    refused.forEach(
        (value, reason) -> {
          if (reason != Reason.UNAVAILABLE) {
            assertThat(done).as("%s: %s was refused", seed, reason).doesNotContainKey(value);
          }
        });
    assertThat(store.all(0)).as(seed).isEqualTo(List.copyOf(state.values()));
    assertThat(store.revision()).as(seed).isEqualTo(next - 1);
  }
}
