package io.harikube.store;

import static io.harikube.testing.Ops.putWithLease;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Leases end by the clock, whatever happened to the server meanwhile. */
@OnEveryDatabase
final class LeaseExpiryTest {
  @AutoClose private final TestStore store;

  LeaseExpiryTest(Database database) {
    store = database.open();
  }

  private void awaitEnd(long id) {
    store.awaitEnd(List.of(id));
  }

  @Test
  void expiresWhenItsTimeIsOverAndNotBefore() {
    store.grant(7, 10);
    store.grant(8, 20);
    store.txn(putWithLease("a", "1", 7), putWithLease("b", "1", 7), putWithLease("c", "1", 8));
    store.clock().advance(Duration.ofMillis(9_999));
    store.put("d", "1");
    assertThat(store.store().lease(7, true)).isNotNull();
    store.clock().advance(Duration.ofMillis(1));
    awaitEnd(7);
    assertThat(Ops.keys(store.all(0))).containsExactly("c", "d");
    assertThat(store.store().leases()).containsExactly(8L);
    assertThat(store.revision()).isEqualTo(4);
    List<Event> events = store.events(Ops.ALL, 4, 4, true, 1 << 20);
    assertThat(events)
        .extracting(Event::kv)
        .containsExactlyInAnyOrder(
            KeyValue.deleted(Bytes.of("a"), 4), KeyValue.deleted(Bytes.of("b"), 4));
    assertThat(events).allMatch(event -> event.previous() != null);
  }

  @Test
  void oneThatIsKeptAliveLives() {
    store.grant(7, 10);
    store.grant(8, 10);
    store.put("a", "1", 7);
    for (int i = 0; i < 5; i++) {
      store.clock().advance(Duration.ofSeconds(9));
      store.keepAlive(7);
    }
    awaitEnd(8);
    assertThat(store.store().leases()).containsExactly(7L);
    assertThat(store.find("a")).isNotNull();
    store.clock().advance(Duration.ofSeconds(10));
    awaitEnd(7);
    assertThat(store.find("a")).isNull();
  }

  @Test
  void oneWithoutKeysExpiresWithoutARevision() {
    store.put("a", "1");
    store.grant(7, 10);
    store.clock().advance(Duration.ofSeconds(11));
    awaitEnd(7);
    assertThat(store.revision()).isEqualTo(2);
    assertThat(store.put("a", "2")).isEqualTo(3);
  }

  @Test
  void aRestartNeitherLengthensNorShortensIt() {
    store.grant(7, 100);
    store.put("a", "1", 7);
    Lease before = store.store().lease(7, true);
    store.clock().advance(Duration.ofSeconds(60));
    store.reopen();
    assertThat(store.store().lease(7, true)).isEqualTo(before);
    store.clock().advance(Duration.ofSeconds(39));
    store.put("b", "1");
    assertThat(store.find("a")).isNotNull();
    store.clock().advance(Duration.ofSeconds(1));
    awaitEnd(7);
    assertThat(Ops.keys(store.all(0))).containsExactly("b");
  }

  @Test
  void aKeepAliveIsRememberedThroughARestart() {
    store.grant(7, 100);
    store.clock().advance(Duration.ofSeconds(60));
    Lease renewed = store.keepAlive(7);
    store.reopen();
    assertThat(store.store().lease(7, false)).isEqualTo(renewed);
  }

  @Test
  void oneThatRanOutWhileTheServerWasDownExpiresAtTheStart() {
    store.grant(7, 10);
    store.put("a", "1", 7);
    store.store().close();
    store.clock().advance(Duration.ofSeconds(10));
    store.reopen();
    awaitEnd(7);
    assertThat(store.find("a")).isNull();
    assertThat(store.revision()).isEqualTo(3);
  }

  @Test
  void manyExpireAtOnce() {
    int count = 500;
    for (int i = 1; i <= count; i++) {
      store.grant(i, 10);
    }
    store.txn(
        IntStream.rangeClosed(1, count)
            .mapToObj(i -> putWithLease("k" + i, "1", i))
            .toArray(Txn.Op[]::new));
    store.clock().advance(Duration.ofSeconds(10));
    store.awaitEnd(LongStream.rangeClosed(1, count).boxed().toList());
    assertThat(store.all(0)).isEmpty();
    List<Event> events = store.events(Ops.ALL, 3, store.revision(), true, 1 << 20);
    assertThat(events).hasSize(count).allMatch(Event::isDelete);
  }

  /** The clock of a server that is set back must not bring leases back, or end them. */
  @Test
  void survivesAClockThatIsSetBack() {
    store.grant(7, 10);
    store.put("a", "1", 7);
    store.clock().advance(Duration.ofHours(-1));
    store.put("b", "1");
    assertThat(store.find("a")).isNotNull();
    store.clock().advance(Duration.ofSeconds(3_610));
    awaitEnd(7);
    assertThat(Ops.keys(store.all(0))).containsExactly("b");
  }
}
