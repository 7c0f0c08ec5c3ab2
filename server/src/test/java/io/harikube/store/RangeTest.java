package io.harikube.store;

import static io.harikube.testing.Ops.bytes;
import static io.harikube.testing.Ops.countOnly;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.keys;
import static io.harikube.testing.Ops.keysOnly;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.range;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Which keys a range answers, how many of them, and what it says about the others. */
@OnEveryDatabase
final class RangeTest {
  @AutoClose private final TestStore store;

  RangeTest(Database database) {
    store = database.open();
    store.txn(put("e", "5"), put("a", "1"), put("c", "3"), put("b", "2"), put("d", "4"));
  }

  private List<String> found(KeyRange range) {
    return keys(store.range(range).kvs());
  }

  @Test
  void findsASingleKey() {
    assertThat(store.range(key("c")))
        .isEqualTo(
            new OpResult.Range(
                2, List.of(new KeyValue(Bytes.of("c"), 2, 2, 1, Bytes.of("3"), 0)), false, 1));
    assertThat(store.range(key("x"))).isEqualTo(new OpResult.Range(2, List.of(), false, 0));
  }

  @Test
  void theEndIsExclusive() {
    assertThat(found(range("b", "d"))).containsExactly("b", "c");
    assertThat(found(range("aa", "dd"))).containsExactly("b", "c", "d");
    assertThat(found(range("b", "b"))).isEmpty();
    assertThat(found(range("d", "b"))).isEmpty();
  }

  @Test
  void noEndIsEverythingFromTheKeyOn() {
    assertThat(found(new KeyRange(Bytes.of("c"), null))).containsExactly("c", "d", "e");
    assertThat(found(new KeyRange(Bytes.of("cc"), null))).containsExactly("d", "e");
    assertThat(found(Ops.ALL)).containsExactly("a", "b", "c", "d", "e");
    assertThat(found(KeyRange.ofRequest(bytes(0), bytes(0)))).hasSize(5);
  }

  @Test
  void aPrefixThatEndsWithTheGreatestByteHasItsKeysAlone() {
    store.put(bytes('p', 0xff), Bytes.of("in"));
    store.put(bytes('p', 0xff, 0), Bytes.of("in"));
    store.put(bytes('p', 0xff, 0xff, 0xff), Bytes.of("in"));
    store.put(bytes('q'), Bytes.of("out"));
    store.put(bytes('p', 0xfe, 0xff), Bytes.of("out"));
    store.put(bytes(0xff), Bytes.of("top"));
    store.put(bytes(0xff, 0xff, 1), Bytes.of("top"));
    assertThat(store.range(KeyRange.prefix(bytes('p', 0xff))).kvs())
        .hasSize(3)
        .allMatch(kv -> kv.value().equals(Bytes.of("in")));
    assertThat(store.range(KeyRange.prefix(bytes(0xff))).kvs())
        .hasSize(2)
        .allMatch(kv -> kv.value().equals(Bytes.of("top")));
  }

  @Test
  void aLimitSaysThatThereIsMoreAndCountsAll() {
    for (int limit = 1; limit <= 6; limit++) {
      OpResult.Range result = store.range(RangeQuery.of(range("a", "e")).withLimit(limit));
      assertThat(keys(result.kvs()))
          .isEqualTo(List.of("a", "b", "c", "d").subList(0, Math.min(limit, 4)));
      assertThat(result.more()).as("limit %s", limit).isEqualTo(limit < 4);
      assertThat(result.count()).isEqualTo(4);
    }
  }

  @Test
  void theGreatestLimitAndANegativeOneAreNone() {
    for (long limit : new long[] {Long.MAX_VALUE, Long.MAX_VALUE - 1, -1, Long.MIN_VALUE}) {
      for (long revision : new long[] {0, 2}) {
        RangeQuery all = RangeQuery.of(range("b", "d")).withLimit(limit).atRevision(revision);
        OpResult.Range result = store.range(all);
        assertThat(keys(result.kvs())).as("limit %s", limit).containsExactly("b", "c");
        assertThat(result.more()).isFalse();
        assertThat(result.count()).isEqualTo(2);
        assertThat(store.range(all.within(range("bb", "bc"))))
            .as("nothing but keys below and above, limit %s", limit)
            .isEqualTo(new OpResult.Range(2, List.of(), false, 0));
      }
    }
  }

  @Test
  void keysOnlyLeavesTheValuesAway() {
    assertThat(store.range(keysOnly(range("b", "d"))).kvs())
        .containsExactly(
            new KeyValue(Bytes.of("b"), 2, 2, 1, Bytes.EMPTY, 0),
            new KeyValue(Bytes.of("c"), 2, 2, 1, Bytes.EMPTY, 0));
  }

  @Test
  void countOnlyCounts() {
    assertThat(store.range(countOnly(range("b", "e"), 0, 0)))
        .isEqualTo(new OpResult.Range(2, List.of(), false, 3));
    assertThat(store.range(countOnly(range("b", "e"), 1, 0)))
        .isEqualTo(new OpResult.Range(2, List.of(), false, 3));
    assertThat(store.range(countOnly(key("b"), 0, 0)).count()).isEqualTo(1);
    assertThat(store.range(countOnly(prefix("x"), 0, 0)).count()).isEqualTo(0);
    store.delete("b");
    assertThat(store.range(countOnly(range("b", "e"), 0, 0)).count()).isEqualTo(2);
    assertThat(store.range(countOnly(range("b", "e"), 0, 2)))
        .isEqualTo(new OpResult.Range(3, List.of(), false, 3));
  }

  @Test
  void keysAreInTheOrderOfTheirBytes() {
    store.txn(put("B", "1"), put("_", "1"), put("á", "1"), put("b-", "1"), put("b/", "1"));
    assertThat(found(Ops.ALL)).containsExactly("B", "_", "a", "b", "b-", "b/", "c", "d", "e", "á");
    assertThat(found(range("B", "b"))).containsExactly("B", "_", "a");
    assertThat(found(range("b", "c"))).containsExactly("b", "b-", "b/");
  }

  /** Names as Kubernetes has them, whose order a collation would turn round. */
  @Test
  void aPrefixOfKubernetesIsExact() {
    store.txn(
        put("/registry/pods/a-b/x", "1"),
        put("/registry/pods/a/x", "1"),
        put("/registry/pods/ab/x", "1"),
        put("/registry/pods/A/x", "1"),
        put("/registry/pods.apps/a/x", "1"));
    assertThat(found(prefix("/registry/pods/a/"))).containsExactly("/registry/pods/a/x");
    assertThat(found(prefix("/registry/pods/")))
        .containsExactly(
            "/registry/pods/A/x",
            "/registry/pods/a-b/x",
            "/registry/pods/a/x",
            "/registry/pods/ab/x");
    assertThat(store.range(countOnly(prefix("/registry/pods/"), 0, 0)).count()).isEqualTo(4);
  }
}
