package io.harikube.store;

import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.Model;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Random operations on a store and on the model, which have to agree; with crashes.
 *
 * <p>Everything comes from one seeded generator on one thread, but for the order in which the store
 * does what several threads hand over at once: the answers tell it.
 */
final class Simulation implements AutoCloseable {
  private static final int TRACE = 60;

  private final Database database;
  private final Random random;
  private final TestStore store;
  private final Model model;
  private final RandomTxns txns;
  private final ModelChecks checks;
  private final Crashes crashes;
  private final ConcurrentLinkedQueue<Commit> commits = new ConcurrentLinkedQueue<>();
  private final Deque<String> trace = new ArrayDeque<>();
  private long published = 1;
  private long steps;

  Simulation(Database database, long seed) {
    this.database = database;
    this.random = new Random(seed);
    this.store = database.open();
    this.model = new Model(store.clock());
    this.txns = new RandomTxns(random, model);
    this.checks = new ModelChecks(random, store, model, txns);
    this.crashes = new Crashes(database, random, store, model);
    subscribe();
  }

  /** Runs until the time is over; answers how many steps were done. */
  long run(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    while (System.nanoTime() - end < 0) {
      step();
      steps++;
    }
    settle();
    checks.everything();
    return steps;
  }

  /** The last operations, for the message of a failure. */
  String trace() {
    return String.join("\n", trace);
  }

  long crashes() {
    return crashes.count();
  }

  private void note(String what) {
    trace.add(steps + ": " + what);
    if (trace.size() > TRACE) {
      trace.remove();
    }
  }

  private void step() {
    int kind = random.nextInt(1_000);
    if (kind < 550) {
      burst();
    } else if (kind < 700) {
      lease();
    } else if (kind < 750) {
      advance();
    } else if (kind < 780) {
      compact();
    } else if (kind < 985) {
      note("check");
      checks.some();
    } else if (kind < 992) {
      note("reopen");
      store.reopen();
      assertThat(store.revision()).isEqualTo(model.revision());
      subscribe();
      checks.everything();
    } else {
      crash();
    }
    settle();
  }

  private List<Txn> some(int count) {
    return Stream.generate(txns::txn).limit(count).toList();
  }

  private void burst() {
    boolean inOrder = random.nextBoolean();
    List<List<Txn>> shares = new ArrayList<>();
    for (int thread = inOrder ? 1 : 4; thread > 0; thread--) {
      shares.add(some(1 + random.nextInt(random.nextInt(10) == 0 ? 100 : 10)));
    }
    note((inOrder ? "in order " : "at once ") + shares);
    List<RangeQuery> queries = Stream.generate(txns::query).limit(4).toList();
    Burst burst = new Burst();
    List<CompletableFuture<Runnable>> reads =
        queries.stream()
            .map(
                query ->
                    CompletableFuture.<Runnable>supplyAsync(
                        () -> checks.concurrent(query), task -> Thread.ofVirtual().start(task)))
            .toList();
    if (inOrder) {
      burst.submit(store, shares.getFirst());
    } else {
      burst.submitFromThreads(store, shares);
    }
    burst.explain(model, inOrder, false);
    reads.forEach(read -> Await.answer(read).run());
  }

  private void crash() {
    note("crash");
    List<Txn> some = some(200 + random.nextInt(600));
    if (crashes.happens(some)) {
      if (database == Database.POSTGRES && random.nextBoolean()) {
        settle();
        store.reopen();
        assertThat(store.revision()).isEqualTo(model.revision());
        subscribe();
      }
      checks.everything();
    }
  }

  private void lease() {
    long id = random.nextInt(4) == 0 ? 1L + random.nextInt(20) : txns.lease();
    switch (random.nextInt(4)) {
      case 0, 1 -> {
        long wanted = 1L + random.nextInt(20);
        long ttl = random.nextInt(30);
        note("grant " + wanted + " for " + ttl);
        same(() -> store.grant(wanted, ttl), () -> model.grant(wanted, ttl));
      }
      case 2 -> {
        note("keep alive " + id);
        same(() -> store.keepAlive(id), () -> model.keepAlive(id));
      }
      default -> {
        note("revoke " + id);
        same(() -> store.revoke(id), () -> model.revoke(id));
      }
    }
  }

  private static void same(Supplier<?> actual, Supplier<?> expected) {
    assertThat(outcome(actual)).isEqualTo(outcome(expected));
  }

  private static Object outcome(Supplier<?> action) {
    try {
      return action.get();
    } catch (StoreException e) {
      return e.reason();
    }
  }

  private void advance() {
    Duration time = Duration.ofMillis(random.nextInt(10_000));
    note("the clock goes on by " + time);
    store.clock().advance(time);
    List<Lease> expired = model.expired();
    store.awaitEnd(expired.stream().map(Lease::id).toList());
    long now = store.revision();
    // The order of what ends at the same time is the store's choice: its log tells it.
    for (long at = model.revision() + 1; at <= now; at++) {
      List<Event> events = store.events(Ops.ALL, at, at, true, 1 << 20);
      KeyValue gone = events.getFirst().previous();
      assertThat(gone).as("what was deleted at %s", at).isNotNull();
      long id = java.util.Objects.requireNonNull(gone).lease();
      assertThat(expired).as("the lease of %s", events).extracting(Lease::id).contains(id);
      assertThat(model.revoke(id)).isEqualTo(at);
    }
    for (Lease lease : model.expired()) {
      assertThat(model.keys(lease.id())).as("what lease %s left", lease.id()).isEmpty();
      model.revoke(lease.id());
    }
  }

  private void compact() {
    long at = random.nextInt(10) == 0 ? txns.revision() : Math.max(1, model.revision() - 200);
    boolean physical = random.nextBoolean();
    note("compact " + at + (physical ? " physically" : ""));
    same(() -> Await.answer(store.store().compact(at, physical)), () -> model.compact(at));
    if (model.compactedRevision() > 1) {
      assertThat(refusal(() -> store.all(model.compactedRevision() - 1)))
          .isEqualTo(Reason.COMPACTED);
    }
  }

  private void subscribe() {
    commits.clear();
    published = store.log().subscribe(commits::add);
    assertThat(published).isEqualTo(model.revision());
  }

  /** What was published has to be what happened. */
  private void settle() {
    long current = model.revision();
    assertThat(store.revision()).isEqualTo(current);
    long from = published + 1;
    List<Event> events = new ArrayList<>();
    for (Commit commit; (commit = commits.poll()) != null; ) {
      assertThat(commit.firstRevision()).isEqualTo(published + 1);
      published = commit.lastRevision();
      assertThat(commit.events()).isNotNull();
      events.addAll(java.util.Objects.requireNonNull(commit.events()));
    }
    checks.events(events, from);
    assertThat(published).as("the last commit that was published").isEqualTo(current);
  }

  @Override
  public void close() {
    store.close();
  }
}
