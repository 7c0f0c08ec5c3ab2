package io.harikube.store;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.deleteWithPrevious;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.keys;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.range;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Deleting keys and ranges. */
@OnEveryDatabase
final class DeleteTest {
  @AutoClose private final TestStore store;

  DeleteTest(Database database) {
    store = database.open();
  }

  @Test
  void deletesOneKey() {
    store.put("a", "1");
    store.put("ab", "1");
    assertThat(store.txn(delete("a")).results())
        .containsExactly(new OpResult.Delete(4, 1, List.of()));
    assertThat(keys(store.all(0))).containsExactly("ab");
    assertThat(store.txn(delete("a")).results())
        .containsExactly(new OpResult.Delete(4, 0, List.of()));
  }

  @Test
  void deletesARangeAtOneRevisionInKeyOrder() {
    store.txn(put("d", "1"), put("b", "1"), put("a", "1"), put("c", "1"));
    OpResult.Delete result =
        (OpResult.Delete) store.txn(delete(range("a", "d"))).results().getFirst();
    assertThat(result).isEqualTo(new OpResult.Delete(3, 3, List.of()));
    assertThat(keys(store.all(0))).containsExactly("d");
    assertThat(store.events(Ops.ALL, 3, 3, false, 1 << 20))
        .extracting(Event::kv)
        .containsExactly(
            KeyValue.deleted(Bytes.of("a"), 3),
            KeyValue.deleted(Bytes.of("b"), 3),
            KeyValue.deleted(Bytes.of("c"), 3));
  }

  @Test
  void answersWhatItDeletedIfAsked() {
    store.put("a", "1");
    store.put("b", "2");
    store.put("b", "3");
    List<KeyValue> before = store.all(0);
    assertThat(store.txn(deleteWithPrevious(Ops.ALL)).results())
        .containsExactly(new OpResult.Delete(5, 2, before));
  }

  @Test
  void deletesAPrefixAndNothingBeyond() {
    store.txn(put("a", "1"), put("a/", "1"), put("a/z", "1"), put("a0", "1"));
    store.txn(delete(prefix("a/")));
    assertThat(keys(store.all(0))).containsExactly("a", "a0");
  }

  @Test
  void deletesFromAKeyOn() {
    store.txn(put("a", "1"), put("b", "1"), put("c", "1"));
    store.put(Ops.bytes(0xff, 0xff), Bytes.of("1"));
    store.txn(delete(new KeyRange(Bytes.of("b"), null)));
    assertThat(keys(store.all(0))).containsExactly("a");
  }

  @Test
  void anEmptyRangeDeletesNothing() {
    store.put("b", "1");
    for (KeyRange empty : List.of(range("b", "b"), range("c", "a"))) {
      assertThat(store.txn(deleteWithPrevious(empty)).results())
          .containsExactly(new OpResult.Delete(2, 0, List.of()));
    }
  }

  @Test
  void aDeletedKeyStaysInTheHistory() {
    store.put("a", "1");
    store.delete("a");
    assertThat(store.find("a")).isNull();
    assertThat(keys(store.all(2))).containsExactly("a");
    assertThat(store.all(3)).isEmpty();
  }

  /** More keys than a batch, a page, or a statement's parameters hold. */
  @Test
  void deletesManyKeysAtOneRevision() {
    int count = 50_000;
    for (int from = 0; from < count; from += 5_000) {
      store.txn(
          IntStream.range(from, from + 5_000)
              .mapToObj(i -> put("k/%06d".formatted(i), "v" + i))
              .toArray(Txn.Op[]::new));
    }
    store.put("other", "1");
    assertThat(store.txn(delete(prefix("k/"))).results())
        .containsExactly(new OpResult.Delete(13, count, List.of()));
    assertThat(keys(store.all(0))).containsExactly("other");
    assertThat(store.range(Ops.countOnly(prefix("k/"), 0, 12)).count()).isEqualTo(count);
    List<Event> events = store.events(prefix("k/"), 13, 13, true, 1 << 20);
    assertThat(events).hasSize(count).allMatch(Event::isDelete);
    assertThat(events).isSortedAccordingTo((a, b) -> a.kv().key().compareTo(b.kv().key()));
    KeyValue previous = events.get(count - 1).previous();
    assertThat(previous).isNotNull().extracting(KeyValue::value).isEqualTo(Bytes.of("v49999"));
    assertThat(store.range(key("k/000000")).count()).isEqualTo(0);
  }
}
