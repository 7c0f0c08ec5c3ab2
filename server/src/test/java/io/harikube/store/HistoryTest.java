package io.harikube.store;

import static io.harikube.testing.Ops.countOnly;
import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.keys;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.range;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Reading old revisions, whole and in pages. */
@OnEveryDatabase
final class HistoryTest {
  @AutoClose private final TestStore store;

  HistoryTest(Database database) {
    store = database.open();
  }

  @Test
  void everyRevisionStaysAsItWas() {
    List<List<KeyValue>> states = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      if (i % 7 == 6) {
        store.txn(delete(range("k1", "k4")), put("z" + i, "1"));
      } else {
        store.txn(put("k" + i % 5, "v" + i), put("l" + i % 3, "w" + i));
      }
      states.add(store.all(0));
    }
    for (int i = 0; i < states.size(); i++) {
      OpResult.Range result = store.range(RangeQuery.of(Ops.ALL).atRevision(i + 2));
      assertThat(result.kvs()).as("revision %s", i + 2).isEqualTo(states.get(i));
      assertThat(result.count()).isEqualTo(states.get(i).size());
      assertThat(result.revision()).isEqualTo(61);
    }
    assertThat(store.all(1)).isEmpty();
  }

  @Test
  void theHeaderShowsTheCurrentRevision() {
    store.put("a", "1");
    store.put("a", "2");
    assertThat(store.range(RangeQuery.of(key("a")).atRevision(2)))
        .isEqualTo(
            new OpResult.Range(
                3, List.of(new KeyValue(Bytes.of("a"), 2, 2, 1, Bytes.of("1"), 0)), false, 1));
  }

  @Test
  void aKeyIsGoneFromItsDeletionOn() {
    store.put("a", "1");
    store.put("b", "1");
    store.delete("a");
    store.put("a", "2");
    assertThat(keys(store.all(3))).containsExactly("a", "b");
    assertThat(keys(store.all(4))).containsExactly("b");
    assertThat(keys(store.all(5))).containsExactly("a", "b");
    assertThat(store.range(countOnly(Ops.ALL, 0, 4)).count()).isEqualTo(1);
  }

  @Test
  void whatATransactionWroteAndTookBackIsNeverSeen() {
    store.txn(put("a", "1"), put("b", "1"), delete("a"));
    store.put("c", "1");
    assertThat(keys(store.all(2))).containsExactly("b");
    assertThat(keys(store.all(0))).containsExactly("b", "c");
  }

  @Test
  void aRevisionOfTheFutureIsRefused() {
    store.put("a", "1");
    assertThat(refusal(() -> store.range(RangeQuery.of(key("a")).atRevision(3))))
        .isEqualTo(Reason.FUTURE_REVISION);
    assertThat(refusal(() -> store.range(countOnly(Ops.ALL, 0, Long.MAX_VALUE))))
        .isEqualTo(Reason.FUTURE_REVISION);
    assertThat(refusal(() -> store.txn(get(key("a"), 3)))).isEqualTo(Reason.FUTURE_REVISION);
    assertThat(
            refusal(() -> store.store().stream(RangeQuery.of(Ops.ALL).atRevision(3), 1, _ -> {})))
        .isEqualTo(Reason.FUTURE_REVISION);
    assertThat(refusal(() -> store.store().hash(3))).isEqualTo(Reason.FUTURE_REVISION);
  }

  @Test
  void aCompactedRevisionIsRefused() {
    store.put("a", "1");
    store.put("a", "2");
    store.put("a", "3");
    store.compact(3);
    assertThat(refusal(() -> store.range(RangeQuery.of(key("a")).atRevision(2))))
        .isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> store.range(countOnly(Ops.ALL, 0, 1)))).isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> store.txn(get(key("a"), 2)))).isEqualTo(Reason.COMPACTED);
    assertThat(
            refusal(() -> store.store().stream(RangeQuery.of(Ops.ALL).atRevision(2), 1, _ -> {})))
        .isEqualTo(Reason.COMPACTED);
    assertThat(refusal(() -> store.store().hash(2))).isEqualTo(Reason.COMPACTED);
    assertThat(store.all(3).getFirst().value()).isEqualTo(Bytes.of("2"));
  }

  @Test
  void aNegativeRevisionIsTheCurrentOne() {
    store.put("a", "1");
    assertThat(store.range(RangeQuery.of(key("a")).atRevision(-1)).kvs()).hasSize(1);
  }

  /** As an API server continues a list: the next key, the revision of the first page. */
  @Test
  void pagesOfOneRevisionMakeTheWholeWhateverIsWrittenMeanwhile() {
    for (int i = 0; i < 100; i++) {
      store.put("k/%03d".formatted(i), "v" + i);
    }
    store.put("l", "1");
    KeyRange range = Ops.prefix("k/");
    List<KeyValue> whole = store.range(range).kvs();
    long revision = store.revision();
    List<KeyValue> pages = new ArrayList<>();
    KeyRange rest = range;
    for (int page = 0; ; page++) {
      OpResult.Range result =
          store.range(RangeQuery.of(rest).atRevision(page == 0 ? 0 : revision).withLimit(7));
      assertThat(result.count()).as("page %s", page).isEqualTo(100 - pages.size());
      assertThat(result.revision()).isEqualTo(store.revision());
      pages.addAll(result.kvs());
      assertThat(result.more()).isEqualTo(pages.size() < 100);
      if (!result.more()) {
        break;
      }
      rest = range.from(pages.getLast().key().successor());
      store.txn(delete("k/%03d".formatted(page * 6 + 10)), put("k/%03d5".formatted(page * 6), "x"));
    }
    assertThat(pages).isEqualTo(whole);
  }

  @Test
  void aPageOfAnOldRevisionCountsWhatWasThereThen() {
    store.txn(put("a", "1"), put("b", "1"), put("c", "1"), put("d", "1"));
    store.txn(delete("b"), delete("c"));
    store.put("e", "1");
    OpResult.Range page = store.range(RangeQuery.of(range("b", "z")).atRevision(2).withLimit(1));
    assertThat(keys(page.kvs())).containsExactly("b");
    assertThat(page.more()).isTrue();
    assertThat(page.count()).isEqualTo(3);
    OpResult.Range last = store.range(RangeQuery.of(range("c", "z")).atRevision(2).withLimit(2));
    assertThat(keys(last.kvs())).containsExactly("c", "d");
    assertThat(last.more()).isFalse();
    assertThat(last.count()).isEqualTo(2);
  }
}
