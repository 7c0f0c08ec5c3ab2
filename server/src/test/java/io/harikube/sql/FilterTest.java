package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.AttributeName;
import io.harikube.store.AttributeReader;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestAttributes;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Ranges with filters, against the same filter over the whole range. */
@OnSqlDatabases
final class FilterTest {
  /** A name that has been added, as {@link TestAttributes.Growing} knows it, and what has 1. */
  private static final AttributeName ADDED = AttributeName.added("c");

  private static final RangeQuery WITH_ADDED =
      RangeQuery.of(Ops.prefix("k"))
          .filtered(new Filter(List.of(new Requirement(ADDED, Operator.IN, List.of("1"), 0))));

  private static final List<String> NAMES = List.of("a", "b", "näme", "x/y.z");
  private static final List<String> VALUES =
      List.of("", "1", "2", "-7", "9223372036854775807", "9223372036854775808", "ü\0", "a'b%");
  private static final List<Long> NUMBERS =
      List.of(0L, 1L, -8L, Long.MAX_VALUE, Long.MAX_VALUE - 1, Long.MIN_VALUE);

  @AutoClose private final TestStore store;
  private final Random random = new Random();

  FilterTest(Database database) {
    store = database.open();
  }

  private static <T> T any(Random random, List<T> of) {
    return of.get(random.nextInt(of.size()));
  }

  private String value() {
    if (random.nextInt(25) == 0) {
      return "{?}" + random.nextInt();
    }
    StringBuilder value = new StringBuilder("{");
    for (String name : NAMES) {
      if (random.nextBoolean()) {
        value.append(name).append('=').append(any(random, VALUES)).append(';');
      }
    }
    return value.append('}').append(random.nextInt()).toString();
  }

  private Filter filter() {
    List<Requirement> requirements = new ArrayList<>();
    for (int i = random.nextInt(3); i >= 0; i--) {
      Operator operator = any(random, List.of(Operator.values()));
      List<String> values =
          operator == Operator.IN
                  || operator == Operator.NOT_IN
                  || (operator == Operator.ABSENT && random.nextBoolean())
              ? random
                  .ints(1 + random.nextInt(3), 0, VALUES.size())
                  .distinct()
                  .mapToObj(VALUES::get)
                  .collect(Collectors.collectingAndThen(Collectors.toList(), this::orMany))
              : List.of();
      requirements.add(
          new Requirement(
              new AttributeName(any(random, NAMES)), operator, values, any(random, NUMBERS)));
    }
    if (random.nextInt(6) == 0) {
      // More than go into a statement.
      for (int i = 0; i < 30; i++) {
        requirements.add(
            random.nextInt(requirements.size() + 1),
            new Requirement(new AttributeName("n" + i), Operator.ABSENT, List.of(), 0));
      }
    }
    return random.nextInt(4) == 0
        ? new Filter(requirements.subList(0, random.nextInt(requirements.size())), Bytes.of("/2"))
        : new Filter(requirements);
  }

  /** The values, or many more than anything has. */
  private List<String> orMany(List<String> values) {
    if (random.nextInt(6) == 0) {
      IntStream.range(100, 200).mapToObj(Integer::toString).forEach(values::add);
    }
    return values;
  }

  private void write(int operations) {
    for (int i = 0; i < operations; i++) {
      String key = (random.nextInt(4) == 0 ? "o/" : "p/") + random.nextInt(40);
      switch (random.nextInt(6)) {
        case 0 -> store.delete(key);
        case 1 -> store.txn(Ops.put(key, value()), Ops.put(key + "/2", value()));
        case 2 -> store.txn(Ops.delete(Ops.prefix("o/1")), Ops.put(key + "/3", value()));
        default -> store.put(key, value());
      }
    }
  }

  private static List<KeyValue> matching(List<KeyValue> all, Filter filter) {
    return all.stream()
        .filter(kv -> filter.matches(kv.key(), TestAttributes.read(kv.key(), kv.value())))
        .toList();
  }

  private List<KeyValue> paged(KeyRange range, Filter filter, long revision, long limit) {
    List<KeyValue> found = new ArrayList<>();
    KeyRange rest = range;
    while (true) {
      OpResult.Range page =
          store.range(RangeQuery.of(rest).atRevision(revision).withLimit(limit).filtered(filter));
      assertThat(page.kvs().size()).isLessThanOrEqualTo((int) limit);
      found.addAll(page.kvs());
      assertThat(page.count() > page.kvs().size()).isEqualTo(page.more());
      if (!page.more()) {
        return found;
      }
      rest = rest.from(page.kvs().getLast().key().successor());
    }
  }

  private void compare(long seed, long oldest) {
    for (int i = 0; i < 60; i++) {
      Filter filter = filter();
      long revision = random.nextInt(3) == 0 ? 0 : random.nextLong(oldest, store.revision() + 1);
      KeyRange range = random.nextBoolean() ? Ops.ALL : Ops.prefix("p/");
      List<KeyValue> all = store.range(RangeQuery.of(range).atRevision(revision)).kvs();
      String what = "seed " + seed + ", revision " + revision + ", " + filter;
      assertThat(store.range(RangeQuery.of(range).atRevision(revision).filtered(filter)).kvs())
          .as(what)
          .isEqualTo(matching(all, filter));
      assertThat(paged(range, filter, revision, 1 + random.nextInt(5)))
          .as(what + ", in pages")
          .isEqualTo(matching(all, filter));
    }
  }

  @Test
  void randomFilters() {
    long seed = System.nanoTime();
    random.setSeed(seed);
    write(150);
    compare(seed, 2);
    long compacted = store.revision() - 60;
    store.compact(compacted);
    write(60);
    compare(seed, compacted);
    store.compact(store.revision());
    compare(seed, store.revision());
    assertThat(store.number("SELECT count(*) FROM attribute_past")).isZero();
  }

  @Test
  void anAttributeThatStaysKeepsItsRow() {
    store.put("k", "{a=1;b=2}");
    long first = store.number("SELECT min(from_id) FROM attribute");
    store.put("k", "{a=1;b=3}");
    assertThat(store.number("SELECT min(from_id) FROM attribute")).isEqualTo(first);
    assertThat(store.number("SELECT count(*) FROM attribute_past")).isEqualTo(1);
  }

  @Test
  void whatWasWrittenBeforeThereWereAttributesIsFoundAndThenGathered() {
    for (int i = 0; i < 30; i++) {
      store.put("k" + i, "{a=" + i % 3 + "}");
    }
    store.store().close();
    store.execute("DELETE FROM attribute");
    store.execute("UPDATE meta SET indexed = -1");
    store.reopen();
    Filter filter =
        new Filter(List.of(new Requirement(new AttributeName("a"), Operator.IN, List.of("1"), 0)));
    RangeQuery query = RangeQuery.of(Ops.ALL).filtered(filter);
    assertThat(store.range(query).kvs()).hasSizeGreaterThanOrEqualTo(10);
    Await.until(
        "the attributes", () -> store.number("SELECT count(*) FROM meta WHERE indexed > 0") == 1);
    assertThat(store.range(query).kvs()).hasSize(10);
    store.put("k0", "{a=1}");
    assertThat(store.range(query).kvs()).hasSize(11);
  }

  @Test
  void aFilterMayHaveAnyNumberOfRequirementsAndValues() {
    for (int i = 0; i < 50; i++) {
      store.put("k" + i, "{a=" + i + (i == 7 ? ";n900=1" : "") + "}");
    }
    List<Requirement> requirements = new ArrayList<>();
    for (int i = 0; i < 1100; i++) {
      requirements.add(new Requirement(new AttributeName("n" + i), Operator.ABSENT, List.of(), 0));
    }
    List<String> values = IntStream.range(0, 60_000).mapToObj(i -> "" + (i + 5)).toList();
    requirements.add(new Requirement(new AttributeName("a"), Operator.IN, values, 0));
    RangeQuery query = RangeQuery.of(Ops.ALL).filtered(new Filter(requirements));
    assertThat(store.range(query).kvs()).hasSize(44);
    assertThat(store.range(query.atRevision(10)).kvs()).hasSize(3);
    OpResult.Range page = store.range(query.withLimit(44));
    assertThat(page.kvs()).hasSize(44);
    assertThat(page.more()).isFalse();
    page = store.range(query.withLimit(43));
    assertThat(page.kvs()).hasSize(43);
    assertThat(page.more()).isTrue();
    assertThat(store.range(Ops.keysOnly(Ops.ALL).filtered(query.filter())).kvs())
        .hasSize(44)
        .allSatisfy(kv -> assertThat(kv.value().isEmpty()).isTrue());
  }

  @Test
  void whileAnAttributeIsGatheredTheValuesAreLookedAt() throws OpenException {
    TestAttributes.Growing reader = new TestAttributes.Growing();
    store.store().close();
    try (Store added = open(reader)) {
      for (int i = 0; i < 300; i++) {
        put(added, "k" + i, "{+c=" + i % 3 + "}");
      }
      reader.grow();
      CountDownLatch gathering = new CountDownLatch(1);
      CountDownLatch go = new CountDownLatch(1);
      reader.beforeReading(
          () -> {
            if (Thread.currentThread().getName().equals("attributes")) {
              gathering.countDown();
              Await.until("the ranges", () -> go.getCount() == 0);
            }
          });
      CompletableFuture<Void> gathered = added.gather(Ops.prefix("k"), List.of(ADDED));
      Await.until("the gathering", () -> gathering.getCount() == 0);
      assertThat(keys(added, WITH_ADDED)).isEqualTo(100);
      assertThat(keys(added, WITH_ADDED.withLimit(30))).isEqualTo(30);
      assertThat(keys(added, WITH_ADDED.atRevision(31))).isEqualTo(10);
      go.countDown();
      Await.answer(gathered);
      assertThat(keys(added, WITH_ADDED)).isEqualTo(100);
    }
  }

  @Test
  void aLongValueIsDelivered() {
    store.put("k", "{a=" + "v".repeat(5000) + "}");
    Filter filter =
        new Filter(
            List.of(new Requirement(new AttributeName("a"), Operator.IN, List.of("other"), 0)));
    assertThat(store.range(RangeQuery.of(Ops.ALL).filtered(filter)).kvs())
        .extracting(KeyValue::key)
        .containsExactly(Bytes.of("k"));
  }

  @Test
  void anAttributeThatIsAddedCountsOnceAllKeysHaveIt() throws OpenException {
    TestAttributes.Growing reader = new TestAttributes.Growing();
    store.store().close();
    try (Store added = open(reader)) {
      for (int i = 0; i < 20; i++) {
        put(added, "k" + i, "{+c=" + i % 2 + "}");
      }
      assertThat(keys(added, WITH_ADDED)).as("unknown yet").isEqualTo(20);
      reader.grow();
      assertThat(keys(added, WITH_ADDED)).as("by the values").isEqualTo(10);
      Await.answer(added.gather(Ops.prefix("k"), List.of(ADDED)));
      assertThat(added.gathered()).contains(ADDED);
      assertThat(keys(added, WITH_ADDED)).isEqualTo(10);
      assertThat(keys(added, WITH_ADDED.atRevision(15))).as("before it was gathered").isEqualTo(7);
      put(added, "k0", "{+c=1}");
      assertThat(keys(added, WITH_ADDED)).isEqualTo(11);
    }
    try (Store again = open(reader)) {
      assertThat(keys(again, WITH_ADDED)).as("after another start").isEqualTo(11);
      Await.answer(again.forget(List.of(ADDED)));
      reader.grow();
      put(again, "k2", "{+c=1}");
      assertThat(keys(again, WITH_ADDED)).as("forgotten").isEqualTo(20);
      reader.grow();
      Await.answer(again.gather(Ops.prefix("k"), List.of(ADDED)));
      assertThat(keys(again, WITH_ADDED)).as("gathered again").isEqualTo(12);
    }
  }

  @Test
  void whatIsForgottenWhileItIsGatheredDoesNotCount() throws OpenException {
    TestAttributes.Growing reader = new TestAttributes.Growing();
    store.store().close();
    try (Store added = open(reader)) {
      put(added, "k1", "{+c=1}");
      reader.grow();
      CountDownLatch reading = new CountDownLatch(1);
      CountDownLatch go = new CountDownLatch(1);
      reader.beforeReading(
          () -> {
            reading.countDown();
            Await.until("what goes on meanwhile", () -> go.getCount() == 0);
          });
      CompletableFuture<Void> first = added.gather(Ops.prefix("k"), List.of(ADDED));
      Await.until("the gathering", () -> reading.getCount() == 0);
      reader.beforeReading(() -> {});
      Await.answer(added.forget(List.of(ADDED)));
      reader.grow();
      put(added, "k2", "{+c=1}");
      reader.grow();
      CompletableFuture<Void> second = added.gather(Ops.prefix("k"), List.of(ADDED));
      go.countDown();
      Await.answer(first);
      assertThat(keys(added, WITH_ADDED)).as("the first has ended").isEqualTo(2);
      Await.answer(second);
      assertThat(added.gathered()).containsExactly(ADDED);
      assertThat(keys(added, WITH_ADDED)).isEqualTo(2);
      put(added, "k1", "{+c=0}");
      assertThat(keys(added, WITH_ADDED)).isEqualTo(1);
    }
  }

  /** A range may begin before the last key has its attribute, and look when all have. */
  @Test
  void noRangeReliesOnWhatItsSnapshotLacks() throws OpenException {
    TestAttributes.Growing reader = new TestAttributes.Growing();
    store.store().close();
    try (Store added = open(reader)) {
      put(added, "k1", "{+c=1}");
      for (int i = 0; i < 300; i++) {
        // Now the key has the attribute no more.
        Await.answer(added.gather(Ops.prefix("k"), List.of(ADDED)));
        Await.answer(added.forget(List.of(ADDED)));
        reader.grow();
        CompletableFuture<Void> gathered = added.gather(Ops.prefix("k"), List.of(ADDED));
        boolean last;
        do {
          last = gathered.isDone();
          assertThat(keys(added, WITH_ADDED)).as("round %d", i).isEqualTo(1);
        } while (!last);
        Await.answer(added.forget(List.of(ADDED)));
        reader.grow();
      }
    }
  }

  private Store open(AttributeReader reader) throws OpenException {
    return SqlStore.open(store.options(), store.clock(), StoreMetrics.NONE, reader);
  }

  private void put(Store to, String key, String value) {
    try (MemoryBudget.Share share = store.budget().open()) {
      Await.answer(to.txn(Txn.of(Ops.put(key, value)), share));
    }
  }

  private int keys(Store of, RangeQuery query) {
    try (MemoryBudget.Share share = store.budget().open()) {
      return of.range(query, share).kvs().size();
    }
  }
}
