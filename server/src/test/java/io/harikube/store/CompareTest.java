package io.harikube.store;

import static io.harikube.testing.Ops.absent;
import static io.harikube.testing.Ops.compare;
import static io.harikube.testing.Ops.compareValue;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.range;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Txn.Compare;
import io.harikube.store.Txn.Compare.Relation;
import io.harikube.store.Txn.Compare.Target;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** When a compare of a transaction holds. */
@OnEveryDatabase
final class CompareTest {
  /** The relations that hold when the key's number is less than, equal to, greater than another. */
  private static final Map<Integer, Set<Relation>> HOLDING =
      Map.of(
          -1, EnumSet.of(Relation.LESS, Relation.NOT_EQUAL),
          0, EnumSet.of(Relation.EQUAL),
          1, EnumSet.of(Relation.GREATER, Relation.NOT_EQUAL));

  @AutoClose private final TestStore store;

  CompareTest(Database database) {
    store = database.open();
    store.grant(70, 600);
    store.put("other", "1"); // 2
    store.put("a", "1", 70); // 3
    store.put("a", "2", 70); // 4
    store.put("a", "m", 70); // 5
  }

  private boolean holds(Compare... compares) {
    OpResult.Txn result = store.txn(new Txn(List.of(compares), List.of(), List.of()));
    assertThat(result.results()).isEmpty();
    return result.succeeded();
  }

  private void checkNumber(KeyRange range, Target target, long actual) {
    for (long distance = -1; distance <= 1; distance++) {
      for (Relation relation : Relation.values()) {
        Compare compare = compare(range, target, relation, actual - distance);
        assertThat(holds(compare))
            .as("%s", compare)
            .isEqualTo(HOLDING.getOrDefault((int) distance, Set.of()).contains(relation));
      }
    }
  }

  @Test
  void comparesEachNumberOfAKey() {
    checkNumber(key("a"), Target.VERSION, 3);
    checkNumber(key("a"), Target.CREATE, 3);
    checkNumber(key("a"), Target.MOD, 5);
    checkNumber(key("a"), Target.LEASE, 70);
  }

  @Test
  void comparesAMissingKeyAsZero() {
    for (Target target : EnumSet.complementOf(EnumSet.of(Target.VALUE))) {
      checkNumber(key("missing"), target, 0);
      checkNumber(prefix("missing/"), target, 0);
      checkNumber(range("z", "y"), target, 0);
    }
  }

  @Test
  void aDeletedKeyIsMissing() {
    store.delete("a");
    checkNumber(key("a"), Target.MOD, 0);
    assertThat(holds(absent("a"))).isTrue();
    assertThat(holds(compareValue(key("a"), Relation.NOT_EQUAL, "x"))).isFalse();
  }

  @Test
  void comparesTheValue() {
    for (Relation relation : Relation.values()) {
      assertThat(holds(compareValue(key("a"), relation, "n")))
          .isEqualTo(relation == Relation.LESS || relation == Relation.NOT_EQUAL);
      assertThat(holds(compareValue(key("a"), relation, "m")))
          .isEqualTo(relation == Relation.EQUAL);
      assertThat(holds(compareValue(key("a"), relation, "l")))
          .isEqualTo(relation == Relation.GREATER || relation == Relation.NOT_EQUAL);
      assertThat(holds(compareValue(key("a"), relation, "")))
          .isEqualTo(relation == Relation.GREATER || relation == Relation.NOT_EQUAL);
    }
  }

  @Test
  void comparesValuesByUnsignedBytes() {
    store.put(Bytes.of("b"), Ops.bytes(0x80));
    Compare less = new Compare(key("b"), Target.VALUE, Relation.LESS, 0, Ops.bytes(0x7f));
    Compare greater = new Compare(key("b"), Target.VALUE, Relation.GREATER, 0, Ops.bytes(0x7f));
    Compare longer = new Compare(key("b"), Target.VALUE, Relation.LESS, 0, Ops.bytes(0x80, 0));
    assertThat(holds(less)).isFalse();
    assertThat(holds(greater)).isTrue();
    assertThat(holds(longer)).isTrue();
  }

  @Test
  void aComparisonOfTheValueOfAMissingKeyNeverHolds() {
    for (Relation relation : Relation.values()) {
      assertThat(holds(compareValue(key("missing"), relation, ""))).as("%s", relation).isFalse();
      assertThat(holds(compareValue(key("missing"), relation, "x"))).as("%s", relation).isFalse();
      assertThat(holds(compareValue(prefix("missing"), relation, ""))).isFalse();
    }
  }

  @Test
  void aCompareOfARangeHoldsForEveryKeyOrNot() {
    store.txn(put("r/1", "x"), put("r/2", "x"), put("r/3", "y"));
    assertThat(holds(compare(prefix("r/"), Target.CREATE, Relation.EQUAL, 6))).isTrue();
    store.put("r/2", "x");
    assertThat(holds(compare(prefix("r/"), Target.MOD, Relation.GREATER, 5))).isTrue();
    assertThat(holds(compare(prefix("r/"), Target.MOD, Relation.GREATER, 6))).isFalse();
    assertThat(holds(compare(prefix("r/"), Target.MOD, Relation.EQUAL, 6))).isFalse();
    assertThat(holds(compareValue(prefix("r/"), Relation.EQUAL, "x"))).isFalse();
    assertThat(holds(compareValue(range("r/1", "r/3"), Relation.EQUAL, "x"))).isTrue();
    assertThat(holds(compareValue(prefix("r/"), Relation.LESS, "z"))).isTrue();
    assertThat(
            holds(compare(new KeyRange(Bytes.of("a"), null), Target.VERSION, Relation.GREATER, 0)))
        .isTrue();
    assertThat(holds(compare(Ops.ALL, Target.LEASE, Relation.EQUAL, 0))).isFalse();
  }

  @Test
  void allComparesHaveToHold() {
    Compare yes = compare(key("a"), Target.VERSION, Relation.EQUAL, 3);
    Compare no = compare(key("a"), Target.VERSION, Relation.EQUAL, 4);
    assertThat(holds()).isTrue();
    assertThat(holds(yes, yes)).isTrue();
    assertThat(holds(yes, no)).isFalse();
    assertThat(holds(no, yes)).isFalse();
  }

  @Test
  void ofManyThatWantTheSameRevisionOneWins() {
    Txn txn =
        Ops.when(
            compare(key("a"), Target.MOD, Relation.EQUAL, 5),
            List.of(put("a", "won")),
            List.of(Ops.get("a")));
    var answers =
        java.util.stream.IntStream.range(0, 20)
            .mapToObj(_ -> store.store().txn(txn, store.budget().open()))
            .toList();
    assertThat(answers.stream().map(io.harikube.testing.Await::answer))
        .filteredOn(OpResult.Txn::succeeded)
        .hasSize(1);
    assertThat(store.get("a").version()).isEqualTo(4);
    assertThat(store.revision()).isEqualTo(6);
  }
}
