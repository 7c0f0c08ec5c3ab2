package io.harikube.store;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.key;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Reading the history as a watch does. */
@OnEveryDatabase
final class EventLogTest {
  @AutoClose private final TestStore store;

  EventLogTest(Database database) {
    store = database.open();
  }

  private static String text(Event event) {
    KeyValue previous = event.previous();
    return event.kv().key()
        + (event.isDelete() ? " deleted" : "=" + event.kv().value())
        + (previous == null ? "" : " was " + previous.value() + "@" + previous.modRevision());
  }

  private List<String> texts(KeyRange range, long from, long to, boolean previous) {
    return store.events(range, from, to, previous, 1 << 20).stream()
        .map(EventLogTest::text)
        .toList();
  }

  @Test
  void readsTheEventsInOrderWithWhatWasBefore() {
    store.put("a", "1"); // 2
    store.txn(put("c", "1"), put("b", "1"), put("a", "2")); // 3
    store.txn(delete("b"), delete("x")); // 4
    store.put("b", "2"); // 5
    assertThat(texts(Ops.ALL, 2, 5, false))
        .containsExactly("a=1", "c=1", "b=1", "a=2", "b deleted", "b=2");
    assertThat(texts(Ops.ALL, 2, 5, true))
        .containsExactly("a=1", "c=1", "b=1", "a=2 was 1@2", "b deleted was 1@3", "b=2");
    assertThat(texts(Ops.ALL, 3, 4, true))
        .containsExactly("c=1", "b=1", "a=2 was 1@2", "b deleted was 1@3");
  }

  @Test
  void eventsAreComplete() {
    store.grant(7, 600);
    store.put("a", "1", 7); // 2
    store.put("a", "2"); // 3
    store.delete("a"); // 4
    KeyValue first = new KeyValue(Bytes.of("a"), 2, 2, 1, Bytes.of("1"), 7);
    KeyValue second = new KeyValue(Bytes.of("a"), 2, 3, 2, Bytes.of("2"), 0);
    assertThat(store.events(Ops.ALL, 2, 4, true, 1 << 20))
        .containsExactly(
            new Event(first, null),
            new Event(second, first),
            new Event(KeyValue.deleted(Bytes.of("a"), 4), second));
  }

  @Test
  void readsTheKeysOfTheRangeAlone() {
    store.txn(put("a/1", "1"), put("b/1", "1"), put("a/2", "1")); // 2
    store.put("b/1", "2"); // 3
    store.txn(delete(prefix("a/"))); // 4
    assertThat(texts(prefix("a/"), 2, 4, false))
        .containsExactly("a/1=1", "a/2=1", "a/1 deleted", "a/2 deleted");
    assertThat(texts(key("b/1"), 2, 4, true)).containsExactly("b/1=1", "b/1=2 was 1@2");
    assertThat(texts(new KeyRange(Bytes.of("a/2"), null), 2, 3, false))
        .containsExactly("b/1=1", "a/2=1", "b/1=2");
    EventLog.Page none = store.log().read(prefix("x"), 2, 4, true, 1);
    assertThat(none).isEqualTo(new EventLog.Page(List.of(), 4));
  }

  @Test
  void aTransactionThatChangesAKeyTwiceHasTwoEvents() {
    store.put("a", "1");
    store.txn(put("a", "2"), delete("a"), put("a", "3"));
    assertThat(texts(Ops.ALL, 3, 3, true))
        .containsExactly("a=2 was 1@2", "a deleted was 2@3", "a=3");
  }

  @Test
  void aPageHoldsWholeRevisionsAndAtLeastOne() {
    for (int i = 0; i < 30; i++) {
      int revision = i;
      store.txn(
          IntStream.range(0, 1 + i % 4)
              .mapToObj(k -> put("k" + k, "v" + revision + "x".repeat(revision * 10)))
              .toArray(Txn.Op[]::new));
    }
    for (int maxBytes : new int[] {1, 500, 1_000, 5_000, 1 << 20}) {
      List<Event> all = new ArrayList<>();
      int pages = 0;
      for (long next = 2; next <= 31; pages++) {
        EventLog.Page page = store.log().read(Ops.ALL, next, 31, true, maxBytes);
        assertThat(page.through()).isBetween(next, 31L);
        assertThat(page.events()).allMatch(event -> event.revision() <= page.through());
        // The revision that crosses the bound is the last one of the page.
        int weight =
            page.events().stream()
                .filter(event -> event.revision() < page.events().getLast().revision())
                .mapToInt(Event::weight)
                .sum();
        assertThat(weight).isLessThan(maxBytes);
        all.addAll(page.events());
        next = page.through() + 1;
      }
      assertThat(all).isEqualTo(store.events(Ops.ALL, 2, 31, true, 1 << 20));
      assertThat(all).hasSize(73);
      if (maxBytes == 1) {
        assertThat(pages).isEqualTo(30);
      }
    }
  }

  @Test
  void aLargeRevisionIsNeverCut() {
    store.txn(
        IntStream.range(0, 3_000)
            .mapToObj(k -> put("k%05d".formatted(k), "v".repeat(100)))
            .toArray(Txn.Op[]::new));
    store.put("a", "1");
    EventLog.Page page = store.log().read(Ops.ALL, 2, 3, true, 1_000);
    assertThat(page.events()).hasSize(3_000).allMatch(event -> event.revision() == 2);
    assertThat(page.through()).isEqualTo(2);
  }

  @Test
  void whatIsCompactedIsRefused() {
    for (int i = 0; i < 10; i++) {
      store.put("a", "" + i);
    }
    store.compact(6);
    for (long from : new long[] {1, 2, 5}) {
      assertThat(refusal(() -> store.log().read(Ops.ALL, from, 11, false, 1 << 20)))
          .isEqualTo(Reason.COMPACTED);
      assertThat(refusal(() -> store.log().read(prefix("none"), from, 11, true, 1)))
          .isEqualTo(Reason.COMPACTED);
    }
    assertThat(texts(Ops.ALL, 7, 11, true)).hasSize(5).contains("a=5 was 4@6");
    assertThat(texts(Ops.ALL, 6, 11, false)).hasSize(6);
  }

  @Test
  void survivesARestart() {
    store.put("a", "1");
    store.txn(put("b", "1"), delete("a"));
    List<Event> before = store.events(Ops.ALL, 2, 3, true, 1 << 20);
    store.reopen();
    assertThat(store.events(Ops.ALL, 2, 3, true, 1 << 20)).isEqualTo(before).hasSize(3);
  }
}
