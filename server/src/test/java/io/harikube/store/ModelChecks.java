package io.harikube.store;

import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Model;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/** Whether a store and the model agree. */
final class ModelChecks {
  private final Random random;
  private final TestStore store;
  private final Model model;
  private final RandomTxns txns;
  private final Map<Long, Integer> hashes = new TreeMap<>();
  private long hashesCompacted;

  ModelChecks(Random random, TestStore store, Model model, RandomTxns txns) {
    this.random = random;
    this.store = store;
    this.model = model;
    this.txns = txns;
  }

  /** One check, at random. */
  void some() {
    switch (random.nextInt(6)) {
      case 0 -> state(txns.revision());
      case 1, 2 -> range(txns.query());
      case 3 -> stream(txns.query());
      case 4 -> log();
      default -> {
        leases();
        hash(txns.revision());
      }
    }
  }

  void everything() {
    state(model.revision());
    state(Math.max(1, model.compactedRevision()));
    for (int i = 0; i < 5; i++) {
      state(txns.revision());
      log();
    }
    leases();
    hash(model.revision());
    assertThat(store.log().compactedRevision()).isEqualTo(model.compactedRevision());
  }

  private static boolean readable(Model model, long revision) {
    return revision >= model.compactedRevision() && revision <= model.revision();
  }

  private void state(long revision) {
    RangeQuery query = RangeQuery.of(Ops.ALL).atRevision(revision);
    if (readable(model, revision)) {
      List<KeyValue> expected = List.copyOf(model.state(revision).values());
      assertThat(store.range(query))
          .as("all keys at %s", revision)
          .isEqualTo(new OpResult.Range(model.revision(), expected, false, expected.size()));
      assertThat(store.range(Ops.countOnly(Ops.ALL, 0, revision)).count())
          .isEqualTo(expected.size());
    } else {
      range(query);
    }
  }

  private void range(RangeQuery query) {
    try {
      model.range(query);
    } catch (StoreException e) {
      assertThat(refusal(() -> store.range(query))).as("%s", query).isEqualTo(e.reason());
      return;
    }
    compare(query, store.range(query));
  }

  /** Reads while others write; the answer is checked when the model has caught up. */
  Runnable concurrent(RangeQuery query) {
    long before = store.revision();
    try {
      OpResult.Range actual = store.range(query);
      assertThat(actual.revision()).isGreaterThanOrEqualTo(before);
      long at = query.revision() > 0 ? query.revision() : actual.revision();
      return () -> {
        assertThat(actual.revision()).isLessThanOrEqualTo(model.revision());
        OpResult.Range moved =
            new OpResult.Range(model.revision(), actual.kvs(), actual.more(), actual.count());
        compare(query.atRevision(at), moved);
      };
    } catch (StoreException e) {
      Reason expected = query.revision() > before ? Reason.FUTURE_REVISION : Reason.COMPACTED;
      return () -> assertThat(e.reason()).as("%s", query).isEqualTo(expected);
    }
  }

  private void compare(RangeQuery query, OpResult.Range actual) {
    assertThat(actual).as("%s", query).isEqualTo(model.range(query));
  }

  private void stream(RangeQuery any) {
    RangeQuery query = RangeQuery.of(any.range()).atRevision(any.revision()).withLimit(any.limit());
    List<OpResult.Range> parts = new ArrayList<>();
    Runnable reading = () -> store.store().stream(query, 1 + random.nextInt(2_000), parts::add);
    OpResult.Range expected;
    try {
      expected = model.range(query);
    } catch (StoreException e) {
      assertThat(refusal(reading)).as("%s", query).isEqualTo(e.reason());
      return;
    }
    reading.run();
    List<KeyValue> kvs = parts.stream().flatMap(part -> part.kvs().stream()).toList();
    OpResult.Range last = parts.getLast();
    assertThat(new OpResult.Range(last.revision(), kvs, last.more(), last.count()))
        .as("the parts of %s", query)
        .isEqualTo(expected);
  }

  private void log() {
    long from = txns.revision();
    long to = model.revision();
    KeyRange range = txns.range();
    boolean previous = random.nextBoolean();
    if (from < model.compactedRevision()) {
      assertThat(refusal(() -> store.log().read(range, from, to, previous, 1)))
          .isEqualTo(Reason.COMPACTED);
    } else if (from > model.compactedRevision() && from <= to) {
      List<Event> expected = model.read(range, from, to, previous, Integer.MAX_VALUE).events();
      assertThat(store.events(range, from, to, previous, 1 + random.nextInt(20_000)))
          .as("the events of %s from %s to %s", range, from, to)
          .isEqualTo(expected);
    }
  }

  /** What commits since {@code from} published. */
  void events(List<Event> actual, long from) {
    if (from > model.compactedRevision()) {
      assertThat(actual)
          .as("the events that were published since %s", from)
          .isEqualTo(model.read(Ops.ALL, from, model.revision(), true, Integer.MAX_VALUE).events());
    }
  }

  private void leases() {
    assertThat(store.store().leases()).containsExactlyInAnyOrderElementsOf(model.leases());
    for (long id : model.leases()) {
      assertThat(store.store().lease(id, true)).isEqualTo(model.lease(id, true));
      assertThat(store.store().lease(id, false)).isEqualTo(model.lease(id, false));
    }
  }

  /** The checksum of a revision changes with compactions only. */
  private void hash(long revision) {
    if (readable(model, revision)) {
      Store.Hash hash = store.store().hash(revision);
      assertThat(hash.hashRevision()).isEqualTo(revision);
      if (hashesCompacted != model.compactedRevision()) {
        hashesCompacted = model.compactedRevision();
        hashes.clear();
      }
      Integer before = hashes.put(revision, hash.hash());
      if (before != null) {
        assertThat(hash.hash()).as("the hash of %s", revision).isEqualTo(before);
      }
    }
  }
}
