package io.harikube.testing;

import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.RangeQuery;
import io.harikube.store.Txn;
import io.harikube.store.Txn.Compare.Relation;
import io.harikube.store.Txn.Compare.Target;
import java.util.List;

/** Short words for what tests ask of a store. */
public final class Ops {
  /** Every key there is. */
  public static final KeyRange ALL = new KeyRange(Bytes.EMPTY, null);

  private Ops() {}

  public static Bytes bytes(int... values) {
    byte[] array = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      array[i] = (byte) values[i];
    }
    return Bytes.of(array);
  }

  public static KeyRange key(String key) {
    return KeyRange.single(Bytes.of(key));
  }

  public static KeyRange range(String start, String end) {
    return new KeyRange(Bytes.of(start), Bytes.of(end));
  }

  public static KeyRange prefix(String prefix) {
    return KeyRange.prefix(Bytes.of(prefix));
  }

  public static Txn.Put put(String key, String value) {
    return put(Bytes.of(key), Bytes.of(value));
  }

  public static Txn.Put put(Bytes key, Bytes value) {
    return new Txn.Put(key, value, 0, false, false, false);
  }

  public static Txn.Put putWithLease(String key, String value, long lease) {
    return new Txn.Put(Bytes.of(key), Bytes.of(value), lease, false, false, false);
  }

  public static Txn.Put putWithPrevious(String key, String value) {
    return new Txn.Put(Bytes.of(key), Bytes.of(value), 0, true, false, false);
  }

  public static Txn.Range get(String key) {
    return get(key(key));
  }

  public static Txn.Range get(KeyRange range) {
    return new Txn.Range(RangeQuery.of(range));
  }

  public static Txn.Range get(KeyRange range, long revision) {
    return new Txn.Range(RangeQuery.of(range).atRevision(revision));
  }

  public static Txn.Delete delete(String key) {
    return delete(key(key));
  }

  public static Txn.Delete delete(KeyRange range) {
    return new Txn.Delete(range, false);
  }

  public static Txn.Delete deleteWithPrevious(KeyRange range) {
    return new Txn.Delete(range, true);
  }

  /** These operations, if nothing is in the way of them. */
  public static Txn all(Txn.Op... ops) {
    return new Txn(List.of(), List.of(ops), List.of());
  }

  public static Txn when(Txn.Compare compare, List<Txn.Op> success, List<Txn.Op> failure) {
    return new Txn(List.of(compare), success, failure);
  }

  /** A compare that holds if the key is not there. */
  public static Txn.Compare absent(String key) {
    return compare(key(key), Target.MOD, Relation.EQUAL, 0);
  }

  public static Txn.Compare compare(KeyRange range, Target target, Relation relation, long number) {
    return new Txn.Compare(range, target, relation, number, null);
  }

  public static Txn.Compare compareValue(KeyRange range, Relation relation, String value) {
    return new Txn.Compare(range, Target.VALUE, relation, 0, Bytes.of(value));
  }

  public static RangeQuery sorted(
      KeyRange range, long limit, RangeQuery.Target target, RangeQuery.Order order) {
    return new RangeQuery(range, limit, 0, target, order, false, false, 0, 0, 0, 0, Filter.NONE);
  }

  public static RangeQuery keysOnly(KeyRange range) {
    return new RangeQuery(
        range,
        0,
        0,
        RangeQuery.Target.KEY,
        RangeQuery.Order.NONE,
        true,
        false,
        0,
        0,
        0,
        0,
        Filter.NONE);
  }

  public static RangeQuery countOnly(KeyRange range, long limit, long revision) {
    return new RangeQuery(
        range,
        limit,
        revision,
        RangeQuery.Target.KEY,
        RangeQuery.Order.NONE,
        false,
        true,
        0,
        0,
        0,
        0,
        Filter.NONE);
  }

  public static RangeQuery bounded(
      KeyRange range, long limit, long minMod, long maxMod, long minCreate, long maxCreate) {
    return new RangeQuery(
        range,
        limit,
        0,
        RangeQuery.Target.KEY,
        RangeQuery.Order.NONE,
        false,
        false,
        minMod,
        maxMod,
        minCreate,
        maxCreate,
        Filter.NONE);
  }

  /** The keys as text. */
  public static List<String> keys(List<KeyValue> kvs) {
    return kvs.stream().map(kv -> kv.key().toString()).toList();
  }
}
