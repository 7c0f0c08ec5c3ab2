package io.harikube.watch;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.watch.WatchMessage.Canceled;
import io.harikube.watch.WatchMessage.Created;
import io.harikube.watch.WatchMessage.Events;
import io.harikube.watch.WatchMessage.Progress;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a client sees, message by message, as etcd's clients expect it. */
class WatchHubTest {
  private final HubFixture fixture = new HubFixture();
  private final HubStream stream = fixture.hub.openStream();

  @Test
  void aNewWatchGetsWhatComesLater() {
    fixture.put("a/1", "before");
    stream.create(watch("a/").build());
    fixture.put("a/2", "after");
    fixture.settle();

    assertThat(fixture.taken(stream))
        .containsExactly(new Created(0, 2), new Events(0, 3, fixture.log(3, false), false));
  }

  @Test
  void aWatchFromThePastGoesOnInThePresent() {
    fixture.put("a/1", "1");
    fixture.put("b/1", "2");
    fixture.put("a/2", "3");
    fixture.put("b/2", "4");
    stream.create(watch("a/").from(2).build());
    fixture.settle();
    fixture.put("a/3", "5");
    fixture.settle();

    List<WatchMessage> messages = fixture.taken(stream);
    assertThat(messages.getFirst()).isEqualTo(new Created(0, 5));
    assertThat(fixture.revisions(messages)).containsExactly(2L, 4L, 6L);
    assertThat(fixture.hub.slowWatchers()).isZero();
    assertThat(fixture.hub.logReads()).isZero();
  }

  @Test
  void whatWasReadSaysHowFarItGoes() {
    fixture.put("a/1", "1");
    fixture.put("b/1", "2");
    fixture.settle();
    stream.create(watch("a/").from(2).build());
    fixture.settle();

    assertThat(fixture.taken(stream))
        .containsExactly(new Created(0, 3), new Events(0, 3, fixture.log(2, false), false));
  }

  @Test
  void aWatchFromACompactedRevisionIsToldSo() {
    for (int i = 0; i < 5; i++) {
      fixture.put("a/1", "v" + i);
    }
    fixture.log.compact(4);
    stream.create(watch("a/").from(3).build());
    stream.create(watch("a/").from(4).build());
    fixture.settle();

    List<WatchMessage> messages = fixture.taken(stream);
    assertThat(messages).contains(new Created(0, 6), new Canceled(0, 0, false, 4, ""));
    assertThat(fixture.revisions(messages)).containsExactly(4L, 5L, 6L);
    stream.cancel(0);
    stream.cancel(0);
    assertThat(fixture.taken(stream)).containsExactly(new Canceled(0, 6, false, 0, ""));
  }

  @Test
  void whatWasBeforeTheCompactedRevisionIsNotShown() {
    for (int i = 0; i < 5; i++) {
      fixture.put("a/1", "v" + i);
    }
    fixture.settle();
    fixture.log.compact(4);
    stream.create(watch("a/").from(4).previous().build());
    fixture.settle();

    List<Event> events = fixture.events(fixture.taken(stream), 0);
    assertThat(events).extracting(Event::revision).containsExactly(4L, 5L, 6L);
    assertThat(events)
        .extracting(event -> event.previous() == null)
        .containsExactly(true, false, false);
  }

  @Test
  void whatCannotBeMadeIsRefusedAsEtcdDoes() {
    stream.create(watch("a").id(7).build());
    stream.create(watch("b").id(7).build());
    stream.create(watch("a").from(-1).build());
    stream.create(range(new KeyRange(Bytes.of("b"), Bytes.of("b"))).build());

    assertThat(fixture.taken(stream))
        .containsExactly(
            new Created(7, 1),
            new Canceled(-1, 1, true, 0, "mvcc: duplicate watch ID provided on the WatchStream"),
            new Canceled(-1, 1, true, 0, "etcdserver: mvcc: required revision has been compacted"),
            new Canceled(-1, 1, true, 0, "mvcc: watcher range is empty"));
    assertThat(fixture.hub.watchers()).isEqualTo(1);
  }

  @Test
  void assignedIdsPassOverThoseInUse() {
    stream.create(watch("a").id(1).build());
    stream.create(watch("a").build());
    stream.create(watch("a").build());
    stream.cancel(0);
    stream.create(watch("a").build());

    assertThat(fixture.taken(stream))
        .containsExactly(
            new Created(1, 1),
            new Created(0, 1),
            new Created(2, 1),
            new Canceled(0, 1, false, 0, ""),
            new Created(3, 1));
  }

  @Test
  void aWatchFromTheFutureGetsNothingBefore() {
    stream.create(watch("a/").from(4).progress().build());
    for (int i = 0; i < 4; i++) {
      fixture.settle();
      fixture.tick();
      fixture.put("a/1", "v" + i);
    }
    fixture.settle();

    List<WatchMessage> messages = fixture.taken(stream);
    assertThat(messages.getFirst()).isEqualTo(new Created(0, 1));
    assertThat(fixture.revisions(messages)).containsExactly(4L, 5L);
    assertThat(messages).noneMatch(message -> message instanceof Progress);
  }

  @Test
  void kindsOfEventsCanBeLeftOut() {
    stream.create(watch("a/").noPut().build());
    stream.create(watch("a/").noDelete().build());
    stream.create(watch("a/").noPut().noDelete().build());
    fixture.settle();
    fixture.put("a/1", "1");
    fixture.delete("a/1");
    fixture.settle();

    List<WatchMessage> messages = fixture.taken(stream);
    assertThat(fixture.revisions(messages, 0)).containsExactly(3L);
    assertThat(fixture.revisions(messages, 1)).containsExactly(2L);
    assertThat(fixture.revisions(messages, 2)).isEmpty();
  }

  @Test
  void watchesShareTheirEvents() {
    stream.create(watch("a/").previous().build());
    stream.create(watch("a/").build());
    stream.create(watch("a/1").build());
    fixture.put("a/1", "1");
    fixture.settle();
    fixture.put("a/1", "2");
    fixture.settle();

    List<WatchMessage> messages = fixture.taken(stream);
    Event whole = fixture.events(messages, 0).get(1);
    Event bare = fixture.events(messages, 1).get(1);
    assertThat(whole).isSameAs(fixture.log(3, true).getFirst());
    assertThat(bare).isEqualTo(new Event(whole.kv(), null));
    assertThat(fixture.events(messages, 2).get(1)).isSameAs(bare);
  }

  @Test
  void oneRevisionIsOneMessage() {
    stream.create(watch("a/").build());
    fixture.settle();
    fixture.commit(put("a/1", "1"), put("a/2", "2"), put("b/1", "3"), put("a/3", "4"));
    fixture.settle();

    assertThat(fixture.taken(stream).get(1))
        .isInstanceOfSatisfying(Events.class, events -> assertThat(events.events()).hasSize(3));
  }

  @Test
  void revisionsThatWaitShareAMessage() {
    stream.create(watch("a/").build());
    fixture.settle();
    fixture.taken(stream);
    for (int i = 0; i < 8; i++) {
      fixture.put("a/1", "x".repeat(600));
      fixture.settle();
    }

    List<WatchMessage> messages = fixture.taken(stream);
    assertThat(fixture.revisions(messages)).hasSize(8);
    assertThat(messages.size()).isBetween(2, 4);
  }

  @Test
  void largeRevisionsAreSentInPiecesWithNothingBetween() {
    stream.create(watch("a/").fragment().build());
    stream.create(watch("a/").build());
    fixture.settle();
    fixture.taken(stream);
    fixture.commit(
        put("a/1", "x".repeat(1500)), put("a/2", "x".repeat(1500)), put("a/3", "x".repeat(1500)));
    fixture.settle();

    List<WatchMessage> messages = fixture.taken(stream);
    assertThat(messages)
        .extracting(message -> message.watchId() + " " + ((Events) message).fragment())
        .containsExactly("0 true", "0 true", "0 false", "1 false");
    assertThat(messages).extracting(WatchMessage::revision).containsOnly(2L);
  }

  @Test
  void whatIsTooLargeForAnyMessageIsSentInPiecesToo() {
    stream.create(watch("a/").build());
    fixture.settle();
    fixture.taken(stream);
    fixture.commit(
        put("a/1", "x".repeat(6000)), put("a/2", "x".repeat(6000)), put("a/3", "x".repeat(50)));
    fixture.settle();

    assertThat(fixture.taken(stream))
        .extracting(message -> ((Events) message).fragment())
        .containsExactly(true, false);
  }

  @Test
  void aMessageInPiecesIsFinishedEvenIfTheWatchIsCanceled() {
    stream.create(watch("a/").fragment().build());
    fixture.settle();
    stream.poll();
    fixture.commit(put("a/1", "x".repeat(3000)), put("a/2", "x".repeat(3000)));
    fixture.put("a/3", "never seen");
    fixture.settle();
    WatchMessage first = stream.poll();
    stream.cancel(0);

    assertThat(first).isInstanceOfSatisfying(Events.class, e -> assertThat(e.fragment()).isTrue());
    assertThat(fixture.taken(stream))
        .extracting(Object::getClass)
        .containsExactly(Events.class, Canceled.class);
    assertThat(fixture.hub.pendingBytes()).isZero();
  }

  @Test
  void nothingComesAfterTheEnd() {
    stream.create(watch("a/").build());
    stream.cancel(0);
    stream.cancel(0);
    stream.cancel(5);
    fixture.settle();
    fixture.put("a/1", "1");
    fixture.settle();

    assertThat(fixture.taken(stream))
        .containsExactly(new Created(0, 1), new Canceled(0, 1, false, 0, ""));
    assertThat(fixture.hub.watchers()).isZero();
    assertThat(fixture.hub.dispatcher().index().isEmpty()).isTrue();
  }

  @Test
  void idleWatchesAreToldTheRevision() {
    stream.create(watch("a/").progress().build());
    stream.create(watch("a/").build());
    fixture.settle();
    fixture.taken(stream);
    fixture.put("b/1", "1");
    fixture.tick();
    assertThat(fixture.taken(stream)).containsExactly(new Progress(0, 2));

    fixture.put("a/1", "1");
    fixture.tick();
    assertThat(fixture.taken(stream)).noneMatch(message -> message instanceof Progress);
    fixture.tick();
    assertThat(fixture.taken(stream)).containsExactly(new Progress(0, 3));
  }

  @Test
  void progressDoesNotPileUp() {
    stream.create(watch("a/").progress().build());
    fixture.settle();
    for (int i = 0; i < 10; i++) {
      fixture.tick();
      stream.progress();
      fixture.settle();
    }

    assertThat(fixture.taken(stream))
        .containsExactly(new Created(0, 1), new Progress(0, 1), new Progress(-1, 1));
    fixture.settle();
    assertThat(fixture.taken(stream)).containsExactly(new Progress(-1, 1));
  }

  @Test
  void progressIsAnsweredOnceAllHaveCaughtUp() {
    fixture.put("a/1", "1");
    stream.progress();
    fixture.settle();
    assertThat(fixture.taken(stream)).isEmpty();

    stream.create(watch("a/").from(1).build());
    stream.progress();
    stream.progress();
    fixture.dispatchOnly();
    assertThat(fixture.taken(stream)).containsExactly(new Created(0, 2));
    fixture.settle();
    fixture.put("b/1", "2");
    stream.progress();
    fixture.settle();
    assertThat(fixture.taken(stream))
        .containsExactly(new Events(0, 2, fixture.log(2, false), false), new Progress(-1, 2));
    fixture.settle();
    assertThat(fixture.taken(stream)).containsExactly(new Progress(-1, 3));
  }

  @Test
  void progressIsNotOlderThanTheRequest() {
    stream.create(watch("a/").build());
    fixture.settle();
    fixture.taken(stream);
    fixture.put("b/1", "1");
    stream.progress();
    fixture.settle();
    assertThat(fixture.taken(stream)).containsExactly(new Progress(-1, 2));
  }

  private static TestLog.Change put(String key, String value) {
    return TestLog.put(key, value);
  }

  private static HubFixture.Request watch(String prefix) {
    return HubFixture.watch(prefix);
  }

  private static HubFixture.Request range(KeyRange range) {
    return HubFixture.range(range);
  }
}
