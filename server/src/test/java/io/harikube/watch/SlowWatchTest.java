package io.harikube.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import io.harikube.watch.WatchMessage.Canceled;
import io.harikube.watch.WatchMessage.Created;
import io.harikube.watch.WatchMessage.Events;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** What happens when clients, the dispatcher or the database are slow, or something breaks. */
class SlowWatchTest {
  private static final Logger LOGGER =
      (Logger) LoggerFactory.getLogger(WatchHub.class.getPackageName());
  private static final int LARGEST = 1_300;

  @BeforeAll
  static void quiet() {
    LOGGER.setLevel(Level.OFF);
  }

  @AfterAll
  static void loud() {
    LOGGER.setLevel(null);
  }

  @Test
  void aSlowClientCostsBoundedMemoryAndHoldsUpNobody() {
    HubFixture fixture = new HubFixture();
    HubStream slow = fixture.hub.openStream();
    HubStream fast = fixture.hub.openStream();
    slow.create(HubFixture.watch("a/").build());
    slow.create(HubFixture.watch("a/").previous().build());
    fast.create(HubFixture.watch("a/").build());
    fixture.settle();
    List<WatchMessage> seen = new ArrayList<>();
    for (int i = 0; i < 500; i++) {
      fixture.put("a/1", "x".repeat(1000));
      fixture.settle();
      seen.addAll(fixture.taken(fast));
      assertThat(fixture.hub.pendingBytes())
          .isLessThanOrEqualTo(fixture.options.streamBytes() + 2 * LARGEST);
    }

    assertThat(fixture.revisions(seen)).hasSize(500);
    assertThat(fixture.hub.slowWatchers()).isEqualTo(2);
    List<Long> all = LongStream.rangeClosed(2, 501).boxed().toList();
    List<WatchMessage> late = fixture.drained(slow);
    assertThat(fixture.revisions(late, 0)).isEqualTo(all);
    assertThat(fixture.revisions(late, 1)).isEqualTo(all);
    assertThat(fixture.hub.slowWatchers()).isZero();
  }

  @Test
  void allSlowClientsTogetherCostBoundedMemory() {
    WatchOptions options =
        new WatchOptions(100_000, 0, 20_000, 50_000, 2_000, 2_000, 8_000, 2, ManualThreads.TICK);
    HubFixture fixture = new HubFixture(options);
    List<HubStream> streams = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      HubStream stream = fixture.hub.openStream();
      stream.create(HubFixture.watch("a/").build());
      streams.add(stream);
    }
    fixture.settle();
    for (int i = 0; i < 100; i++) {
      fixture.put("a/1", "x".repeat(1000));
      fixture.settle();
    }

    // Each of the streams may hold one revision whatever the others hold.
    assertThat(fixture.hub.pendingBytes())
        .isLessThanOrEqualTo(options.totalBytes() + 100 * LARGEST);
    for (HubStream stream : streams) {
      assertThat(fixture.revisions(fixture.drained(stream))).hasSize(100);
    }
  }

  @Test
  void aCatchUpLeavesRoomForLiveWatches() {
    HubFixture fixture = new HubFixture();
    for (int i = 0; i < 200; i++) {
      fixture.put("old/1", "x".repeat(1000));
    }
    HubStream stream = fixture.hub.openStream();
    stream.create(HubFixture.watch("new/").build());
    fixture.settle();
    stream.create(HubFixture.watch("old/").from(1).build());
    fixture.settle();

    assertThat(fixture.hub.pendingBytes()).isBetween(2_000L, fixture.options.streamBytes() * 3 / 4);
    fixture.put("new/1", "1");
    fixture.settle();
    assertThat(fixture.hub.slowWatchers()).isEqualTo(1);
    List<WatchMessage> messages = fixture.drained(stream);
    assertThat(fixture.revisions(messages, 0)).containsExactly(202L);
    assertThat(fixture.revisions(messages, 1)).hasSize(200);
  }

  @Test
  void commitsBeyondTheInboxAreReadFromTheLogOnceForAll() {
    HubFixture fixture = new HubFixture();
    List<HubStream> streams = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      HubStream stream = fixture.hub.openStream();
      stream.create(HubFixture.watch("a/").previous().build());
      streams.add(stream);
    }
    fixture.settle();
    for (int i = 0; i < 120; i++) {
      fixture.put("a/" + i, "x".repeat(900));
    }

    assertThat(fixture.hub.droppedCommits()).isPositive();
    assertThat(fixture.hub.lag()).isEqualTo(120);
    for (int i = 0; fixture.hub.lag() > 0; i++) {
      assertThat(i).isLessThan(10_000);
      fixture.threads.dispatch();
      fixture.threads.read();
      streams.forEach(stream -> assertThat(fixture.taken(stream)).isNotNull());
    }
    assertThat(fixture.hub.logReads()).isZero();
    assertThat(fixture.log.reads()).isBetween(1, 60);
    assertThat(fixture.hub.eventsSent()).isEqualTo(50 * 120);
  }

  @Test
  void aCommitWithoutItsEventsReachesAll() {
    HubFixture fixture = new HubFixture();
    HubStream stream = fixture.hub.openStream();
    stream.create(HubFixture.watch("a/").build());
    fixture.settle();
    List<List<TestLog.Change>> transactions = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      transactions.add(List.of(TestLog.put("a/" + i, "x".repeat(500)), TestLog.put("b", "y" + i)));
    }
    fixture.log.commit(true, transactions);
    fixture.put("a/last", "1");

    assertThat(fixture.revisions(fixture.drained(stream)))
        .isEqualTo(LongStream.rangeClosed(2, 22).boxed().toList());
  }

  @Test
  void onlyAFewReadTheLogAtOnce() {
    HubFixture fixture =
        new HubFixture(
            new WatchOptions(
                100_000, 0, 20_000, 1_000_000, 2_000, 2_000, 8_000, 3, ManualThreads.TICK));
    fixture.put("a/1", "1");
    fixture.settle();
    List<HubStream> streams = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      HubStream stream = fixture.hub.openStream();
      stream.create(HubFixture.watch("a/").from(2).build());
      streams.add(stream);
    }
    assertThat(fixture.threads.readers).hasSize(1);
    fixture.threads.read();
    List<Runnable> turns = List.copyOf(fixture.threads.readers);
    fixture.threads.readers.clear();
    turns.forEach(Runnable::run);

    assertThat(turns).hasSize(100);
    assertThat(fixture.threads.readers).hasSize(3);
    for (HubStream stream : streams) {
      assertThat(fixture.revisions(fixture.drained(stream))).containsExactly(2L);
    }
  }

  @Test
  void clientsThatComeBackTogetherDoNotReadTheLog() {
    HubFixture fixture = new HubFixture();
    for (int i = 0; i < 100; i++) {
      fixture.put("a/" + i, "1");
    }
    fixture.settle();
    HubStream stream = fixture.hub.openStream();
    for (int i = 0; i < 1_000; i++) {
      stream.create(HubFixture.watch("a/" + i % 100).from(50).build());
    }
    fixture.drained(stream);

    assertThat(fixture.log.reads()).isZero();
    assertThat(fixture.log.checks()).isEqualTo(1);
    assertThat(fixture.hub.slowWatchers()).isZero();
  }

  @Test
  void watchesThatAreBehindTogetherShareWhatIsRead() {
    HubFixture fixture = withoutRecent();
    for (int i = 0; i < 10; i++) {
      fixture.put("a/1", "x".repeat(900));
    }
    fixture.settle();
    List<HubStream> streams = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      HubStream stream = fixture.hub.openStream();
      stream.create(HubFixture.watch("a/").from(2 + i % 3).build());
      streams.add(stream);
    }
    int events = 0;
    for (HubStream stream : streams) {
      events += fixture.revisions(fixture.drained(stream)).size();
    }

    assertThat(events).isEqualTo(34 * 10 + 33 * 9 + 33 * 8);
    assertThat(fixture.log.reads()).isLessThan(50);
    assertThat(fixture.hub.logReads()).isEqualTo(fixture.log.reads());
  }

  @Test
  void aDatabaseThatIsAwayEndsNoWatch() {
    HubFixture fixture = withoutRecent();
    fixture.put("a/1", "1");
    fixture.log.commit(true, List.of(List.of(TestLog.put("a/2", "2"))));
    fixture.settle();
    AtomicBoolean away = new AtomicBoolean(true);
    fixture.log.failWhen(away::get);
    HubStream stream = fixture.hub.openStream();
    stream.create(HubFixture.watch("a/").from(1).build());
    fixture.settle();
    for (int i = 0; i < 12; i++) {
      assertThat(fixture.threads.timers).hasSize(1);
      fixture.threads.time();
      fixture.settle();
    }

    assertThat(fixture.taken(stream)).containsExactly(new Created(0, 3));
    assertThat(fixture.threads.pauses).isSorted();
    assertThat(fixture.threads.pauses.getFirst()).isEqualTo(Duration.ofMillis(50));
    assertThat(fixture.threads.pauses.getLast()).isEqualTo(Duration.ofSeconds(5));
    away.set(false);
    fixture.threads.time();
    assertThat(fixture.revisions(fixture.drained(stream))).containsExactly(2L, 3L);

    // The next time, it begins with short pauses again.
    fixture.threads.pauses.clear();
    for (int i = 0; i < 40; i++) {
      fixture.put("a/1", "x".repeat(1000));
      fixture.settle();
    }
    assertThat(fixture.hub.slowWatchers()).isEqualTo(1);
    away.set(true);
    fixture.drained(stream);
    assertThat(fixture.threads.pauses).containsExactly(Duration.ofMillis(50));
  }

  @Test
  void aLaggingWatchThatIsCompactedAwayIsTold() {
    HubFixture fixture = new HubFixture();
    HubStream stream = fixture.hub.openStream();
    stream.create(HubFixture.watch("a/").build());
    fixture.settle();
    for (int i = 0; i < 200; i++) {
      fixture.put("a/1", "x".repeat(1000));
      fixture.settle();
    }
    fixture.log.compact(190);

    List<WatchMessage> messages = fixture.drained(stream);
    assertThat(messages.getLast()).isEqualTo(new Canceled(0, 0, false, 190, ""));
    List<Long> revisions = fixture.revisions(messages);
    assertThat(revisions)
        .isEqualTo(LongStream.rangeClosed(2, revisions.getLast()).boxed().toList());
    assertThat(revisions.getLast()).isLessThan(189);
  }

  @Test
  void anEventThatCannotBeHandledEndsOnlyTheWatchesThatWantIt() {
    HubFixture fixture = new HubFixture();
    HubStream stream = fixture.hub.openStream();
    stream.create(HubFixture.watch("a/").build());
    stream.create(HubFixture.watch("b/").build());
    fixture.settle();
    fixture.taken(stream);
    fixture.log.tamper(event -> event.kv().key().equals(Bytes.of("a/bad")) ? broken(event) : event);
    fixture.commit(TestLog.put("a/bad", "1"), TestLog.put("b/1", "1"));
    fixture.put("b/2", "1");

    List<WatchMessage> messages = fixture.drained(stream);
    assertThat(fixture.revisions(messages, 1)).containsExactly(2L, 3L);
    assertThat(messages).contains(new Canceled(0, 3, false, 0, "etcdserver: the watch failed"));
    assertThat(fixture.hub.watchers()).isEqualTo(1);
    assertThat(fixture.hub.slowWatchers()).isZero();
  }

  @Test
  void aWatchThatCannotBeReadForEndsAlone() {
    AtomicBoolean refuses = new AtomicBoolean();
    ManualThreads manual = new ManualThreads(new Random(1));
    HubThreads threads = manual.threads();
    TestLog log = new TestLog();
    WatchHub hub =
        new WatchHub(
            log,
            HubFixture.OPTIONS,
            new HubThreads(
                threads.dispatcher(),
                task -> {
                  if (refuses.getAndSet(false)) {
                    throw new RejectedExecutionException("no more threads");
                  }
                  threads.readers().execute(task);
                },
                threads.timer(),
                1,
                threads.shutdown()));
    HubStream stream = hub.openStream();
    for (int i = 0; i < 2; i++) {
      stream.create(HubFixture.watch("a/").build());
    }
    HubStream other = hub.openStream();
    other.create(HubFixture.watch("b/").build());
    manual.settle();
    for (int i = 0; i < 30; i++) {
      log.commit(TestLog.put("a/1", "x".repeat(1000)), TestLog.put("b/1", "1"));
    }
    manual.settle();
    refuses.set(true);
    int events = 0;
    int canceled = 0;
    for (WatchMessage m = stream.poll(); m != null; m = stream.poll()) {
      events += m instanceof Events more ? more.events().size() : 0;
      canceled += m instanceof Canceled ? 1 : 0;
      manual.settle();
    }

    assertThat(canceled).isEqualTo(1);
    assertThat(events).isBetween(31, 59);
    assertThat(hub.slowWatchers()).isZero();
    assertThat(hub.pendingEvents()).isEqualTo(30);
  }

  @Test
  void aClosedStreamHoldsNothing() throws InterruptedException {
    HubFixture fixture = new HubFixture();
    HubStream stream = fixture.hub.openStream();
    stream.create(HubFixture.watch("a/").build());
    stream.create(HubFixture.watch("a/").from(1).build());
    fixture.settle();
    for (int i = 0; i < 100; i++) {
      fixture.put("a/1", "x".repeat(1000));
    }
    fixture.settle();
    assertThat(fixture.hub.pendingEvents()).isPositive();
    stream.close();
    stream.close();
    stream.create(HubFixture.watch("a/").build());
    stream.cancel(0);
    stream.progress();
    fixture.settle();

    assertThatThrownBy(stream::take).isInstanceOf(InterruptedException.class);
    assertThat(fixture.hub.pendingEvents()).isZero();
    assertThat(fixture.hub.pendingBytes()).isZero();
    assertThat(fixture.hub.watchers()).isZero();
    assertThat(fixture.hub.slowWatchers()).isZero();
    assertThat(fixture.hub.streams()).isZero();
    assertThat(fixture.hub.dispatcher().index().isEmpty()).isTrue();
  }

  private static HubFixture withoutRecent() {
    return new HubFixture(
        new WatchOptions(
            100_000, 0, 20_000, 1_000_000, 2_000, 2_000, 8_000, 2, ManualThreads.TICK));
  }

  @SuppressWarnings("NullAway") // On purpose.
  private static Event broken(Event event) {
    KeyValue kv = event.kv();
    return new Event(new KeyValue(kv.key(), 1, kv.modRevision(), 1, null, 0), null);
  }
}
