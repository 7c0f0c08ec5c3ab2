package io.harikube.store;

import io.harikube.store.RangeQuery.Order;
import io.harikube.store.RangeQuery.Target;
import io.harikube.testing.Model;
import io.harikube.testing.Ops;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Random requests over a few keys, so that they meet each other. */
final class RandomTxns {
  private static final List<Bytes> KEYS = keys();
  private static final List<Long> EXTREMES =
      List.of(
          Long.MIN_VALUE, -2L, -1L, 1L, Long.MAX_VALUE >> 20, Long.MAX_VALUE - 1, Long.MAX_VALUE);

  /** A value of this size does not come with its row. */
  private static final int LARGE = 150_000;

  private final Random random;
  private final Model model;

  RandomTxns(Random random, Model model) {
    this.random = random;
    this.model = model;
  }

  private static List<Bytes> keys() {
    List<Bytes> keys = new ArrayList<>();
    for (String folder : List.of("a/", "b/", "bb/")) {
      for (int i = 0; i < 12; i++) {
        keys.add(Bytes.of(folder + i));
      }
    }
    for (int end : new int[] {0, 1, 0x7f, 0x80, 0xff}) {
      keys.add(Ops.bytes('c', end));
      keys.add(Ops.bytes('c', 0xff, end));
      keys.add(Ops.bytes(end));
    }
    return List.copyOf(keys);
  }

  private <T> T one(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  private boolean rarely() {
    return random.nextInt(10) == 0;
  }

  Bytes key() {
    return one(KEYS);
  }

  private Bytes value() {
    int size = random.nextInt(200) == 0 ? LARGE : random.nextInt(60);
    byte[] array = new byte[random.nextInt(1 + size)];
    random.nextBytes(array);
    return Bytes.of(array);
  }

  /** One key, a folder, a stretch, or everything from some key on. */
  KeyRange range() {
    return switch (random.nextInt(6)) {
      case 0, 1 -> KeyRange.single(key());
      case 2 -> KeyRange.prefix(one(List.of(Bytes.of("a/"), Bytes.of("b"), Ops.bytes('c', 0xff))));
      case 3 -> new KeyRange(key(), null);
      case 4 -> Ops.ALL;
      default -> new KeyRange(key(), key());
    };
  }

  /** A few keys that lie together. */
  private KeyRange smallRange() {
    Bytes start = key();
    return random.nextBoolean()
        ? KeyRange.single(start)
        : new KeyRange(start, start.prefix(start.size() - 1).prefixEnd().successor());
  }

  /** A revision that can be read, or now and then one that cannot. */
  long revision() {
    long compacted = Math.max(1, model.compactedRevision());
    long current = model.revision();
    if (random.nextInt(30) == 0) {
      return random.nextBoolean() ? current + 1 + random.nextInt(100) : Math.max(1, compacted - 1);
    }
    return random.nextInt(3) == 0
        ? Math.max(compacted, current - random.nextInt(30))
        : random.nextLong(compacted, current + 1);
  }

  private long orExtreme(long number) {
    return random.nextInt(16) == 0 ? one(EXTREMES) : number;
  }

  private long bound() {
    return orExtreme(random.nextInt(8) == 0 ? revision() : 0);
  }

  RangeQuery query() {
    return new RangeQuery(
        range(),
        orExtreme(random.nextBoolean() ? random.nextInt(12) : 0),
        orExtreme(random.nextInt(3) == 0 ? revision() : 0),
        random.nextInt(3) == 0 ? one(List.of(Target.values())) : Target.KEY,
        one(List.of(Order.values())),
        rarely(),
        rarely(),
        bound(),
        bound(),
        bound(),
        bound(),
        Filter.NONE);
  }

  long lease() {
    List<Long> leases = model.leases();
    return leases.isEmpty() || rarely() ? 1_000_000L + random.nextInt(5) : one(leases);
  }

  private Txn.Put put(boolean alone) {
    boolean leased = random.nextInt(6) == 0;
    return new Txn.Put(
        key(),
        value(),
        leased ? lease() : 0,
        random.nextBoolean(),
        alone && rarely(),
        alone && !leased && rarely());
  }

  private Txn.Compare compare() {
    KeyRange range = random.nextInt(3) == 0 ? range() : KeyRange.single(key());
    Txn.Compare.Target target = one(List.of(Txn.Compare.Target.values()));
    Txn.Compare.Relation relation = one(List.of(Txn.Compare.Relation.values()));
    long number =
        switch (target) {
          case VERSION -> random.nextInt(4);
          case CREATE, MOD ->
              random.nextBoolean() ? 0 : Math.max(0, model.revision() - random.nextInt(50));
          case LEASE -> random.nextBoolean() ? 0 : lease();
          case VALUE -> 0;
        };
    Bytes value = target == Txn.Compare.Target.VALUE ? value() : null;
    return new Txn.Compare(range, target, relation, number, value);
  }

  private Txn.Op op(int depth) {
    int kind = random.nextInt(20);
    if (kind < 11) {
      return put(false);
    }
    if (kind < 14) {
      return new Txn.Delete(smallRange(), random.nextBoolean());
    }
    if (kind < 18 || depth > 2) {
      return new Txn.Range(query());
    }
    return new Txn.Nested(txn(depth + 1));
  }

  private List<Txn.Op> ops(int depth) {
    int size = random.nextInt(60) == 0 ? 100 : random.nextInt(5);
    List<Txn.Op> ops = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      ops.add(op(depth));
    }
    return ops;
  }

  private Txn txn(int depth) {
    List<Txn.Compare> compares = new ArrayList<>();
    for (int i = random.nextInt(3); i > 0; i--) {
      compares.add(compare());
    }
    return new Txn(compares, ops(depth), ops(depth));
  }

  Txn txn() {
    return switch (random.nextInt(10)) {
      case 0, 1, 2, 3 -> Txn.of(put(true));
      case 4 -> Txn.of(new Txn.Delete(rarely() ? range() : smallRange(), random.nextBoolean()));
      case 5 -> createOrUpdate();
      default -> txn(0);
    };
  }

  /** The transactions of an API server: put a key if it is still what was read. */
  private Txn createOrUpdate() {
    Bytes key = key();
    KeyRange range = KeyRange.single(key);
    List<KeyValue> kvs = model.range(RangeQuery.of(range)).kvs();
    long expected = kvs.isEmpty() ? 0 : kvs.getFirst().modRevision();
    Txn.Op write =
        random.nextInt(4) == 0
            ? new Txn.Delete(range, true)
            : new Txn.Put(key, value(), 0, false, false, false);
    return new Txn(
        List.of(
            new Txn.Compare(
                range, Txn.Compare.Target.MOD, Txn.Compare.Relation.EQUAL, expected, null)),
        List.of(write),
        List.of(new Txn.Range(RangeQuery.of(range))));
  }
}
