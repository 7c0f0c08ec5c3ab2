package io.harikube.store;

import static io.harikube.testing.Ops.bounded;
import static io.harikube.testing.Ops.keys;
import static io.harikube.testing.Ops.sorted;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.RangeQuery.Order;
import io.harikube.store.RangeQuery.Target;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Sorted and bounded ranges: both look at the whole range before the limit cuts. */
@OnEveryDatabase
final class SortTest {
  /** No two of these orders are the same. */
  private static final Map<Target, List<String>> ASCENDING =
      Map.of(
          Target.KEY, List.of("a", "b", "c", "d"),
          Target.VERSION, List.of("b", "d", "a", "c"),
          Target.CREATE, List.of("d", "a", "c", "b"),
          Target.MOD, List.of("a", "d", "b", "c"),
          Target.VALUE, List.of("c", "b", "d", "a"));

  @AutoClose private final TestStore store;

  SortTest(Database database) {
    store = database.open();
    store.put("d", "x"); // 2
    store.put("a", "x"); // 3
    store.put("c", "x"); // 4
    store.put("a", "x"); // 5
    store.put("a", "zz"); // 6
    store.put("c", "x"); // 7
    store.put("c", "x"); // 8
    store.put("d", "z"); // 9
    store.put("b", "y"); // 10
    store.put("c", ""); // 11
  }

  @Test
  void sortsByEachTargetBothWays() {
    ASCENDING.forEach(
        (target, ascending) -> {
          assertThat(keys(store.range(sorted(Ops.ALL, 0, target, Order.ASCEND)).kvs()))
              .as("%s ascending", target)
              .isEqualTo(ascending);
          assertThat(keys(store.range(sorted(Ops.ALL, 0, target, Order.DESCEND)).kvs()))
              .as("%s descending", target)
              .isEqualTo(ascending.reversed());
          assertThat(keys(store.range(sorted(Ops.ALL, 0, target, Order.NONE)).kvs()))
              .as("%s", target)
              .isEqualTo(ascending);
        });
  }

  /** etcd takes one key more than the limit, in the order of the keys, and sorts these. */
  @Test
  void withoutAnOrderTheLimitCutsBeforeTheSort() {
    RangeQuery query = sorted(Ops.ALL, 2, Target.VERSION, Order.NONE);
    OpResult.Range result = store.range(query);
    assertThat(keys(result.kvs())).containsExactly("b", "a");
    assertThat(result.more()).isTrue();
    assertThat(result.count()).isEqualTo(4);
    assertThat(store.txn(new Txn.Range(query)).results()).containsExactly(result);
    assertThat(keys(store.range(query.atRevision(8)).kvs())).containsExactly("d", "a");
    RangeQuery bounded =
        new RangeQuery(
            Ops.ALL, 2, 0, Target.VERSION, Order.NONE, false, false, -1, 0, 0, 0, Filter.NONE);
    assertThat(keys(store.range(bounded).kvs())).containsExactly("b", "d");
  }

  @Test
  void keysThatTheOrderDoesNotTellApartComeInTheirOwn() {
    store.txn(Ops.put("t3", "v"), Ops.put("t1", "v"), Ops.put("t2", "v"));
    for (Target target : List.of(Target.VERSION, Target.CREATE, Target.MOD, Target.VALUE)) {
      for (Order order : Order.values()) {
        RangeQuery query = sorted(Ops.prefix("t"), 0, target, order);
        assertThat(keys(store.range(query).kvs()))
            .as("%s %s", target, order)
            .containsExactly("t1", "t2", "t3");
        assertThat(keys(store.range(query.withLimit(1)).kvs())).containsExactly("t1");
      }
    }
  }

  @Test
  void theExtremesOfABound() {
    check(bounded(Ops.ALL, 0, 0, Long.MAX_VALUE, 0, 0), "a", "b", "c", "d");
    check(bounded(Ops.ALL, 0, 0, Long.MAX_VALUE - 1, 0, Long.MAX_VALUE), "a", "b", "c", "d");
    check(bounded(Ops.ALL, 0, Long.MIN_VALUE, 0, -1, 0), "a", "b", "c", "d");
    check(bounded(Ops.ALL, 0, Long.MAX_VALUE, 0, 0, 0));
    check(bounded(Ops.ALL, 0, 0, 0, Long.MAX_VALUE, 0));
    check(bounded(Ops.ALL, 0, 0, -1, 0, 0));
    check(bounded(Ops.ALL, 0, 0, 0, 0, Long.MIN_VALUE));
  }

  @Test
  void theLimitCutsAfterTheSort() {
    ASCENDING.forEach(
        (target, ascending) -> {
          OpResult.Range last = store.range(sorted(Ops.ALL, 1, target, Order.DESCEND));
          assertThat(keys(last.kvs())).as("%s", target).containsExactly(ascending.getLast());
          assertThat(last.more()).isTrue();
          assertThat(last.count()).isEqualTo(4);
          OpResult.Range all = store.range(sorted(Ops.ALL, 4, target, Order.ASCEND));
          assertThat(keys(all.kvs())).isEqualTo(ascending);
          assertThat(all.more()).isFalse();
        });
  }

  @Test
  void sortsByTheValueThatItDoesNotAnswer() {
    RangeQuery query =
        new RangeQuery(
            Ops.ALL, 0, 0, Target.VALUE, Order.ASCEND, true, false, 0, 0, 0, 0, Filter.NONE);
    assertThat(keys(store.range(query).kvs())).isEqualTo(ASCENDING.get(Target.VALUE));
    assertThat(store.range(query).kvs()).allMatch(kv -> kv.value().isEmpty());
  }

  @Test
  void sortsAnOldRevision() {
    RangeQuery query = sorted(Ops.ALL, 0, Target.MOD, Order.DESCEND).atRevision(7);
    assertThat(keys(store.range(query).kvs())).containsExactly("c", "a", "d");
  }

  @Test
  void boundsAreInclusiveAndDoNotChangeTheCount() {
    check(bounded(Ops.ALL, 0, 9, 0, 0, 0), "b", "c", "d");
    check(bounded(Ops.ALL, 0, 0, 9, 0, 0), "a", "d");
    check(bounded(Ops.ALL, 0, 9, 10, 0, 0), "b", "d");
    check(bounded(Ops.ALL, 0, 0, 0, 4, 0), "b", "c");
    check(bounded(Ops.ALL, 0, 0, 0, 0, 3), "a", "d");
    check(bounded(Ops.ALL, 0, 0, 0, 3, 4), "a", "c");
    check(bounded(Ops.ALL, 0, 9, 11, 2, 4), "c", "d");
    check(bounded(Ops.ALL, 0, 100, 0, 0, 0));
  }

  private void check(RangeQuery query, String... expected) {
    OpResult.Range result = store.range(query);
    assertThat(keys(result.kvs())).containsExactly(expected);
    assertThat(result.count()).isEqualTo(4);
    assertThat(result.more()).isFalse();
  }

  @Test
  void theLimitCutsAfterTheBounds() {
    OpResult.Range result = store.range(bounded(Ops.ALL, 2, 9, 0, 0, 0));
    assertThat(keys(result.kvs())).containsExactly("b", "c");
    assertThat(result.more()).isTrue();
    assertThat(result.count()).isEqualTo(4);
    assertThat(store.range(bounded(Ops.ALL, 3, 9, 0, 0, 0)).more()).isFalse();
  }

  @Test
  void boundsAndSortGoTogether() {
    RangeQuery query =
        new RangeQuery(
            Ops.ALL, 1, 0, Target.MOD, Order.DESCEND, false, false, 0, 10, 0, 0, Filter.NONE);
    OpResult.Range result = store.range(query);
    assertThat(keys(result.kvs())).containsExactly("b");
    assertThat(result.more()).isTrue();
    assertThat(result.count()).isEqualTo(4);
  }
}
