package io.harikube.store;

import static io.harikube.testing.Ops.bytes;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Txn.Compare;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Keys and values are bytes, any bytes, of any length that a request can have. */
@OnEveryDatabase
final class BinaryTest {
  @AutoClose private final TestStore store;

  BinaryTest(Database database) {
    store = database.open();
  }

  private static Bytes random(Random random, int size) {
    byte[] array = new byte[size];
    random.nextBytes(array);
    return Bytes.of(array);
  }

  private KeyValue read(Bytes key) {
    OpResult.Range result = store.range(KeyRange.single(key));
    assertThat(result.count()).isEqualTo(1);
    return result.kvs().getFirst();
  }

  @Test
  void everyByteIsAKeyAndSortsUnsigned() {
    List<Bytes> keys = new ArrayList<>();
    for (int i = 0; i < 256; i++) {
      keys.add(bytes(i));
      keys.add(bytes(i, 0));
      keys.add(bytes(i, 0xff));
    }
    List<Bytes> shuffled = new ArrayList<>(keys);
    Collections.shuffle(shuffled, new Random(1));
    store.txn(shuffled.stream().map(key -> put(key, key)).toArray(Txn.Op[]::new));
    assertThat(store.all(0)).extracting(KeyValue::key).isEqualTo(keys).isSorted();
    assertThat(store.all(0)).allMatch(kv -> kv.key().equals(kv.value()));
    for (Bytes key : keys) {
      assertThat(read(key).key()).isEqualTo(key);
    }
    OpResult.Range upper = store.range(new KeyRange(bytes(0x7f, 0xff), bytes(0x80, 1)));
    assertThat(upper.kvs())
        .extracting(KeyValue::key)
        .containsExactly(bytes(0x7f, 0xff), bytes(0x80), bytes(0x80, 0));
  }

  @Test
  void zeroBytesDoNotEndAKey() {
    Bytes one = bytes('a', 0, 'b');
    Bytes other = bytes('a', 0, 'c');
    store.txn(put(one, bytes(0)), put(other, bytes(0, 0)), put("a", ""));
    assertThat(read(one).value()).isEqualTo(bytes(0));
    assertThat(read(other).value()).isEqualTo(bytes(0, 0));
    assertThat(store.range(KeyRange.prefix(bytes('a', 0))).count()).isEqualTo(2);
    store.txn(Ops.delete(KeyRange.single(one)));
    assertThat(store.range(Ops.ALL).kvs())
        .extracting(KeyValue::key)
        .containsExactly(bytes('a'), other);
  }

  @Test
  void whatIsNotUtf8IsKept() {
    Bytes key = bytes(0xc3, 0x28, 0xed, 0xa0, 0x80, 0xfe, '\\', '\'', '%', '_');
    Bytes value = bytes(0xff, 0xfe, 0xc0, 0x80, 0, '\\', 'x', '0', '0');
    store.put(key, value);
    assertThat(read(key).value()).isEqualTo(value);
    Compare compare =
        new Compare(KeyRange.single(key), Compare.Target.VALUE, Compare.Relation.EQUAL, 0, value);
    assertThat(store.txn(Ops.when(compare, List.of(), List.of())).succeeded()).isTrue();
    store.reopen();
    assertThat(read(key).value()).isEqualTo(value);
    Event event = store.events(Ops.ALL, 2, 2, true, 1 << 20).getFirst();
    assertThat(event.kv()).isEqualTo(new KeyValue(key, 2, 2, 1, value, 0));
  }

  @Test
  void anEmptyKeyIsAKey() {
    store.put(Bytes.EMPTY, Bytes.of("1"));
    store.put("a", "2");
    assertThat(read(Bytes.EMPTY).value()).isEqualTo(Bytes.of("1"));
    assertThat(store.all(0)).extracting(KeyValue::key).containsExactly(Bytes.EMPTY, Bytes.of("a"));
  }

  @Test
  void longKeysAreToldApartByTheirLastByte() {
    Random random = new Random(2);
    Bytes stem = random(random, 1_999);
    List<Txn.Op> puts = new ArrayList<>();
    List<Bytes> keys = new ArrayList<>();
    for (int i = 0; i < 256; i++) {
      byte[] key = java.util.Arrays.copyOf(stem.array(), 2_000);
      key[1_999] = (byte) i;
      keys.add(Bytes.of(key));
      puts.add(put(Bytes.of(key), bytes(i)));
    }
    store.txn(puts.toArray(Txn.Op[]::new));
    assertThat(store.all(0)).extracting(KeyValue::key).isEqualTo(keys);
    assertThat(read(keys.get(200)).value()).isEqualTo(bytes(200));
    store.txn(Ops.delete(KeyRange.single(keys.get(200))));
    assertThat(store.range(KeyRange.prefix(stem)).count()).isEqualTo(255);
  }

  @Test
  void largeValuesAreKept() {
    Random random = new Random(3);
    Bytes large = random(random, 1_572_864);
    store.put(Bytes.of("large"), large);
    assertThat(read(Bytes.of("large")).value()).isEqualTo(large);
    Txn.Op[] puts =
        IntStream.range(0, 8).mapToObj(i -> put(Bytes.of("k" + i), large)).toArray(Txn.Op[]::new);
    store.txn(puts);
    assertThat(store.range(Ops.prefix("k")).kvs())
        .hasSize(8)
        .allMatch(kv -> kv.value().equals(large));
    OpResult.Txn result =
        store.txn(new Txn.Put(Bytes.of("large"), Bytes.EMPTY, 0, true, false, false));
    assertThat(result.results().getFirst())
        .isEqualTo(new OpResult.Put(4, new KeyValue(Bytes.of("large"), 2, 2, 1, large, 0)));
    assertThat(store.events(Ops.ALL, 2, 4, true, 1 << 20)).hasSize(10);
  }

  @Test
  void randomKeysAndValuesComeBack() {
    Random random = new Random(4);
    List<KeyValue> expected = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      Bytes key = Bytes.of(concat(random(random, 16), bytes(i >> 8, i)));
      Bytes value = random(random, random.nextInt(200));
      long revision = store.put(key, value);
      expected.add(new KeyValue(key, revision, revision, 1, value, 0));
    }
    expected.sort((a, b) -> a.key().compareTo(b.key()));
    assertThat(store.all(0)).isEqualTo(expected);
    store.reopen();
    assertThat(store.all(0)).isEqualTo(expected);
    assertThat(store.all(301)).isEqualTo(expected);
  }

  private static byte[] concat(Bytes one, Bytes other) {
    byte[] both = java.util.Arrays.copyOf(one.array(), one.size() + other.size());
    System.arraycopy(other.array(), 0, both, one.size(), other.size());
    return both;
  }
}
