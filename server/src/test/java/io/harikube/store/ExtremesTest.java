package io.harikube.store;

import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.RangeQuery.Order;
import io.harikube.store.RangeQuery.Target;
import io.harikube.testing.Database;
import io.harikube.testing.Model;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestAttributes;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/**
 * Ranges with any numbers a client may send, on their own, in transactions, in parts and with
 * filters, against the model. {@code -Dharikube.seed=N} does again what a failure was found with.
 */
@OnSqlDatabases
final class ExtremesTest {
  private static final int QUERIES = 400;
  private static final List<Long> EXTREMES =
      List.of(
          Long.MIN_VALUE,
          Long.MIN_VALUE + 1,
          -1L,
          0L,
          1L,
          2L,
          (long) Integer.MAX_VALUE,
          Long.MAX_VALUE >> 20,
          (Long.MAX_VALUE >> 20) + 1,
          Long.MAX_VALUE - 1,
          Long.MAX_VALUE);
  private static final Filter FILTER =
      new Filter(List.of(new Requirement(new AttributeName("a"), Operator.IN, List.of("1"), 0)));

  @AutoClose private final TestStore store;
  private final Model model;
  private final long seed =
      Long.getLong("harikube.seed", ThreadLocalRandom.current().nextLong(1L << 32));
  private final Random random = new Random(seed);

  ExtremesTest(Database database) {
    store = database.open();
    model = new Model(store.clock());
    for (int i = 0; i < 40; i++) {
      write();
    }
    store.compact(10);
    model.compact(10);
  }

  /** Several keys of one revision, which only their names tell apart; some are large. */
  private void write() {
    List<Bytes> keys =
        random.ints(1 + random.nextInt(4), 0, 30).distinct().mapToObj(this::key).toList();
    Txn txn =
        Ops.all(
            keys.stream()
                .map(
                    key ->
                        random.nextInt(5) == 0
                            ? new Txn.Delete(KeyRange.single(key), false)
                            : Ops.put(key, value()))
                .toArray(Txn.Op[]::new));
    assertThat(store.txn(txn)).isEqualTo(model.txn(txn));
  }

  private Bytes key(int i) {
    return switch (i) {
      case 0 -> Ops.bytes(0);
      case 1 -> Ops.bytes('k', 0xff, 0xff);
      case 2 -> Ops.bytes(0xff);
      default -> Bytes.of("k" + i);
    };
  }

  private Bytes value() {
    String attributes = "{a=" + random.nextInt(2) + "}";
    return Bytes.of(attributes + "x".repeat(random.nextInt(20) == 0 ? 200_000 : random.nextInt(9)));
  }

  private <T> T one(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private long number() {
    return switch (random.nextInt(3)) {
      case 0 -> 0;
      case 1 -> random.nextLong(model.revision() + 2);
      default -> one(EXTREMES);
    };
  }

  private long bound() {
    return random.nextInt(4) == 0 ? number() : 0;
  }

  private KeyRange range() {
    return random.nextInt(3) == 0
        ? Ops.ALL
        : new KeyRange(
            key(random.nextInt(30)), random.nextInt(4) == 0 ? null : key(random.nextInt(30)));
  }

  private RangeQuery query() {
    return new RangeQuery(
        range(),
        random.nextBoolean() ? random.nextInt(6) : number(),
        random.nextInt(3) == 0 ? number() : 0,
        one(List.of(Target.values())),
        one(List.of(Order.values())),
        random.nextInt(6) == 0,
        random.nextInt(10) == 0,
        bound(),
        bound(),
        bound(),
        bound(),
        Filter.NONE);
  }

  private static String about(List<KeyValue> kvs) {
    return kvs.stream()
        .map(kv -> kv.key() + "@" + kv.modRevision() + ":" + kv.value().size())
        .toList()
        .toString();
  }

  /** The same answer, or the same refusal; values are not printed. */
  private void agree(String what, Supplier<OpResult.Range> model, Supplier<OpResult.Range> store) {
    OpResult.Range expected;
    try {
      expected = model.get();
    } catch (StoreException e) {
      assertThat(refusal(() -> assertThat(store.get()).isNull()))
          .as("%s, seed %s", what, seed)
          .isEqualTo(e.reason());
      return;
    }
    OpResult.Range found = store.get();
    assertThat(found.equals(expected))
        .as(
            "%s, seed %s: revision %s, more %s, count %s, %s for revision %s, more %s, count %s, %s",
            what,
            seed,
            found.revision(),
            found.more(),
            found.count(),
            about(found.kvs()),
            expected.revision(),
            expected.more(),
            expected.count(),
            about(expected.kvs()))
        .isTrue();
  }

  @Test
  void ranges() {
    for (int i = 0; i < QUERIES; i++) {
      RangeQuery query = query();
      agree("" + query, () -> model.range(query), () -> store.range(query));
    }
  }

  private static OpResult.Range last(OpResult.Txn txn) {
    return (OpResult.Range) txn.results().getLast();
  }

  @Test
  void transactions() {
    for (int i = 0; i < QUERIES; i++) {
      Txn.Op op = new Txn.Range(query());
      Txn txn = Ops.all(random.nextBoolean() ? new Txn.Op[] {op} : new Txn.Op[] {put(), op});
      agree("" + op, () -> last(model.txn(txn)), () -> last(store.txn(txn)));
    }
  }

  private Txn.Op put() {
    return Ops.put(key(random.nextInt(30)), value());
  }

  private static OpResult.Range joined(List<OpResult.Range> parts) {
    OpResult.Range last = parts.getLast();
    return new OpResult.Range(
        last.revision(),
        parts.stream().flatMap(part -> part.kvs().stream()).toList(),
        last.more(),
        last.count());
  }

  @Test
  void parts() {
    for (int i = 0; i < QUERIES; i++) {
      RangeQuery query = RangeQuery.of(range()).withLimit(number()).atRevision(number());
      int bytes = 1 + random.nextInt(4_000);
      agree(
          "" + query,
          () -> model.range(query),
          () -> {
            List<OpResult.Range> parts = new ArrayList<>();
            store.store().stream(query, bytes, parts::add);
            return joined(parts);
          });
    }
  }

  /** A filter may let more through where the keys are sorted or have bounds, never less. */
  @Test
  void filters() {
    for (int i = 0; i < QUERIES; i++) {
      RangeQuery query = query();
      if (query.keysOnly() || query.countOnly()) {
        continue;
      }
      if (!query.inKeyOrder() || query.hasRevisionBounds()) {
        agree("" + query, () -> model.range(query), () -> store.range(query.filtered(FILTER)));
        continue;
      }
      agree(
          "filtered " + query,
          () -> filtered(model.range(query.withLimit(0)), query.limit()),
          () -> store.range(query.filtered(FILTER)));
    }
  }

  private static OpResult.Range filtered(OpResult.Range all, long limit) {
    Supplier<Stream<KeyValue>> matching =
        () ->
            all.kvs().stream()
                .filter(kv -> FILTER.matches(kv.key(), TestAttributes.read(kv.key(), kv.value())));
    long count = matching.get().count();
    boolean more = limit > 0 && count > limit;
    return new OpResult.Range(
        all.revision(),
        matching.get().limit(more ? limit : count).toList(),
        more,
        more ? limit + 1 : count);
  }
}
