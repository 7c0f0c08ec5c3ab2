package io.harikube.sql;

import static io.harikube.testing.Ops.prefix;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Txn;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Ranges with large values: what comes out of the database at once is bounded, in bytes. */
@OnSqlDatabases
final class LargeValuesTest {
  private static final int KEYS = 120;
  private static final int LARGEST = 1_400_000;
  private static final int PART = 512 << 10;

  /** A result has what is meant for its values, and its keys. */
  private static final long MOST = Values.RESULT_BYTES + (128 << 10);

  @AutoClose private final TestStore store;
  @AutoClose private final WatchedReaders readers;
  private final Map<String, Bytes> values = new TreeMap<>();

  LargeValuesTest(Database database) {
    store = database.open();
    for (int i = 0; i < KEYS; i++) {
      int size = i % 10 == 3 ? LARGEST : i % 10 == 7 ? 90_000 : i;
      put("k/%03d".formatted(i), size);
    }
    readers = new WatchedReaders(store);
  }

  private void put(String key, int size) {
    byte[] value = new byte[size];
    Arrays.fill(value, (byte) key.hashCode());
    byte[] attributes = Bytes.of("{a=1}").array();
    System.arraycopy(attributes, 0, value, 0, Math.min(size, attributes.length));
    values.put(key, Bytes.of(value));
    store.put(Bytes.of(key), Bytes.of(value));
  }

  /** Not by AssertJ, which would print a megabyte. */
  private void areRight(List<KeyValue> kvs) {
    for (KeyValue kv : kvs) {
      assertThat(Objects.equals(kv.value(), values.get(kv.key().toString())))
          .as("the value of %s", kv.key())
          .isTrue();
    }
  }

  private void check(RangeQuery query, int keys) throws SQLException {
    OpResult.Range answer = readers.range(query);
    assertThat(readers.largestResult()).as("%s", query).isBetween(1L, MOST);
    assertThat(answer.kvs().size()).isEqualTo(keys);
    areRight(answer.kvs());
  }

  @Test
  void aList() throws SQLException {
    check(RangeQuery.of(prefix("k/")), KEYS);
  }

  @Test
  void aListWithALimit() throws SQLException {
    for (int limit : new int[] {1, 4, 5, 70, KEYS - 1}) {
      check(RangeQuery.of(prefix("k/")).withLimit(limit), limit);
    }
  }

  @Test
  void anOldRevision() throws SQLException {
    long before = store.revision();
    store.txn(Ops.delete(prefix("k/0")), Ops.put("k/100", "new"));
    check(RangeQuery.of(prefix("k/")).atRevision(before), KEYS);
  }

  @Test
  void aFilter() throws SQLException {
    long before = store.revision();
    Filter filter =
        new Filter(
            List.of(
                new Filter.Requirement(
                    new AttributeName("a"), Filter.Operator.IN, List.of("1"), 0)));
    check(RangeQuery.of(prefix("k/")).filtered(filter), KEYS - 4);
    store.txn(Ops.delete(prefix("k/0")));
    check(RangeQuery.of(prefix("k/")).filtered(filter).atRevision(before), KEYS - 4);
  }

  @Test
  void anyOrder() throws SQLException {
    for (int limit : new int[] {0, 2, 50}) {
      for (RangeQuery.Target target : RangeQuery.Target.values()) {
        RangeQuery query = Ops.sorted(prefix("k/"), limit, target, RangeQuery.Order.DESCEND);
        check(query, limit == 0 ? KEYS : limit);
      }
    }
  }

  @Test
  void aTransaction() {
    RangeQuery query =
        Ops.sorted(prefix("k/"), 50, RangeQuery.Target.MOD, RangeQuery.Order.DESCEND);
    OpResult.Range answer = (OpResult.Range) store.txn(new Txn.Range(query)).results().getFirst();
    assertThat(answer.kvs().size()).isEqualTo(50);
    areRight(answer.kvs());
  }

  @Test
  void parts() throws SQLException {
    List<OpResult.Range> parts = readers.stream(RangeQuery.of(prefix("k/")), PART);
    assertThat(readers.largestResult()).isBetween(1L, MOST);
    List<KeyValue> kvs = new ArrayList<>();
    for (OpResult.Range part : parts) {
      assertThat(part.kvs().stream().mapToInt(KeyValue::weight).sum())
          .isLessThan(2 * PART + LARGEST + 1000);
      kvs.addAll(part.kvs());
    }
    assertThat(kvs.size()).isEqualTo(KEYS);
    areRight(kvs);
  }

  /** Nobody reads a value that nobody wants. */
  @Test
  void keysAlone() throws SQLException {
    assertThat(readers.range(Ops.keysOnly(prefix("k/"))).kvs().size()).isEqualTo(KEYS);
    assertThat(readers.range(Ops.countOnly(prefix("k/"), 0, 0)).count()).isEqualTo(KEYS);
    assertThat(readers.largestResult()).isBetween(1L, 128L << 10);
  }

  /** The ordinary case is one statement: values that are about as large as was guessed. */
  @Test
  void ordinaryValuesComeWithTheirRows() throws SQLException {
    for (int i = 0; i < 60; i++) {
      put("o/%02d".formatted(i), 8_000 + 500 * (i % 20));
    }
    int before = readers.snapshots();
    OpResult.Range answer = readers.range(RangeQuery.of(prefix("o/")));
    assertThat(readers.snapshots() - before).isEqualTo(1);
    assertThat(answer.kvs()).hasSize(60);
    assertThat(readers.largestResult()).isGreaterThan(60 * 8_000);
  }
}
