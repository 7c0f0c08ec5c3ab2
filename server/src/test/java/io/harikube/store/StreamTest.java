package io.harikube.store;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.keysOnly;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Ranges in parts. */
@OnEveryDatabase
final class StreamTest {
  private static final int KEYS = 3_000;
  private static final int PART = 16 << 10;

  @AutoClose private final TestStore store;

  StreamTest(Database database) {
    store = database.open();
    store.txn(
        IntStream.range(0, KEYS)
            .mapToObj(i -> put("k/%05d".formatted(i), "v".repeat(i % 100)))
            .toArray(Txn.Op[]::new));
    store.put("l", "1");
  }

  private List<OpResult.Range> stream(RangeQuery query) {
    List<OpResult.Range> parts = new ArrayList<>();
    store.store().stream(query, PART, parts::add);
    return parts;
  }

  private static List<KeyValue> joined(List<OpResult.Range> parts) {
    return parts.stream().flatMap(part -> part.kvs().stream()).toList();
  }

  @Test
  void thePartsMakeTheWhole() {
    RangeQuery query = RangeQuery.of(prefix("k/"));
    OpResult.Range whole = store.range(query);
    List<OpResult.Range> parts = stream(query);
    assertThat(joined(parts)).isEqualTo(whole.kvs());
    assertThat(parts.getLast().count()).isEqualTo(KEYS);
    assertThat(parts.getLast().more()).isFalse();
    assertThat(parts).allMatch(part -> part.revision() == 3);
  }

  @Test
  void noPartIsMuchLargerThanItMayBe() {
    List<OpResult.Range> parts = stream(RangeQuery.of(prefix("k/")));
    assertThat(parts).hasSizeGreaterThan(10);
    assertThat(parts)
        .allMatch(part -> part.kvs().stream().mapToInt(KeyValue::weight).sum() <= 2 * PART);
  }

  @Test
  void aKeyLargerThanAPartIsAPart() {
    store.put("m", "x".repeat(5 * PART));
    List<OpResult.Range> parts = stream(RangeQuery.of(prefix("m")));
    assertThat(joined(parts)).hasSize(1);
    assertThat(parts.getLast().count()).isEqualTo(1);
  }

  @Test
  void anEmptyRangeHasOneEmptyPart() {
    assertThat(stream(RangeQuery.of(prefix("x"))))
        .containsExactly(new OpResult.Range(3, List.of(), false, 0));
  }

  @Test
  void allPartsAreOfOneRevisionWhateverIsWrittenMeanwhile() {
    RangeQuery query = RangeQuery.of(prefix("k/"));
    List<KeyValue> whole = store.range(query).kvs();
    List<OpResult.Range> parts = new ArrayList<>();
    store.store().stream(
        query,
        PART,
        part -> {
          int i = parts.size();
          parts.add(part);
          store.txn(
              delete("k/%05d".formatted(KEYS - 1 - i)),
              put("k/%05d".formatted(KEYS / 2 + i), "new"),
              put("k/%05d5".formatted(KEYS / 2 + i), "new"));
        });
    assertThat(joined(parts)).isEqualTo(whole);
    assertThat(parts.getLast().count()).isEqualTo(KEYS);
    assertThat(parts).allMatch(part -> part.revision() == 3);
  }

  @Test
  void compactionMeanwhileTakesNothingAway() {
    RangeQuery query = RangeQuery.of(prefix("k/"));
    List<KeyValue> whole = store.range(query).kvs();
    List<OpResult.Range> parts = new ArrayList<>();
    store.store().stream(
        query,
        PART,
        part -> {
          if (parts.isEmpty()) {
            store.txn(delete(prefix("k/")));
            store.put("k/new", "1");
            Await.answer(store.store().compact(store.revision(), false));
          }
          parts.add(part);
        });
    assertThat(joined(parts)).isEqualTo(whole);
  }

  @Test
  void knowsLimitsOldRevisionsAndKeysOnly() {
    store.txn(delete(prefix("k/0")));
    List<OpResult.Range> parts = stream(RangeQuery.of(prefix("k/")).atRevision(3).withLimit(1_500));
    assertThat(joined(parts))
        .isEqualTo(store.range(RangeQuery.of(prefix("k/")).atRevision(3).withLimit(1_500)).kvs())
        .hasSize(1_500);
    assertThat(parts.getLast().more()).isTrue();
    assertThat(parts.getLast().count()).isEqualTo(KEYS);
    assertThat(parts.getLast().revision()).isEqualTo(4);
    assertThat(joined(stream(keysOnly(Ops.ALL).atRevision(2))))
        .hasSize(KEYS)
        .allMatch(kv -> kv.value().isEmpty());
  }

  @Test
  void aConsumerThatFailsEndsItAndHarmsNobody() {
    for (int i = 0; i < 20; i++) {
      assertThatThrownBy(
              () ->
                  store.store().stream(
                      RangeQuery.of(Ops.ALL),
                      PART,
                      _ -> {
                        throw new IllegalStateException("enough");
                      }))
          .hasMessage("enough");
    }
    assertThat(stream(RangeQuery.of(Ops.ALL)).getLast().count()).isEqualTo(KEYS + 1);
    store.put("k/new", "1");
    store.compact(store.revision());
  }
}
