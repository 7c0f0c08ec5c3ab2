package io.harikube.watch;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.watch.TestLog.Change;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** A hub with small limits, on a log in memory and threads that the test runs. */
final class HubFixture {
  static final WatchOptions OPTIONS =
      new WatchOptions(
          100_000, 100_000, 20_000, 1_000_000, 2_000, 2_000, 8_000, 2, ManualThreads.TICK);

  final TestLog log = new TestLog();
  final ManualThreads threads = new ManualThreads(new Random(1));
  final WatchOptions options;
  final WatchHub hub;

  HubFixture() {
    this(OPTIONS);
  }

  HubFixture(WatchOptions options) {
    this.options = options;
    hub = new WatchHub(log, options, threads.threads());
  }

  /** A watch to be made. */
  static final class Request {
    private final KeyRange range;
    private long id;
    private long start;
    private boolean previous;
    private boolean noPut;
    private boolean noDelete;
    private boolean progress;
    private boolean fragment;

    private Request(KeyRange range) {
      this.range = range;
    }

    Request id(long newId) {
      id = newId;
      return this;
    }

    Request from(long revision) {
      start = revision;
      return this;
    }

    Request previous() {
      previous = true;
      return this;
    }

    Request noPut() {
      noPut = true;
      return this;
    }

    Request noDelete() {
      noDelete = true;
      return this;
    }

    Request progress() {
      progress = true;
      return this;
    }

    Request fragment() {
      fragment = true;
      return this;
    }

    WatchRequest build() {
      return new WatchRequest(id, range, start, previous, noPut, noDelete, progress, fragment);
    }
  }

  static Request watch(String prefix) {
    return range(KeyRange.prefix(Bytes.of(prefix)));
  }

  static Request range(KeyRange range) {
    return new Request(range);
  }

  void put(String key, String value) {
    log.commit(TestLog.put(key, value));
  }

  void delete(String key) {
    log.commit(TestLog.delete(key));
  }

  void commit(Change... changes) {
    log.commit(changes);
  }

  void settle() {
    threads.settle();
  }

  void tick() {
    threads.settle();
    threads.tick();
    threads.settle();
  }

  void dispatchOnly() {
    while (threads.dispatch()) {}
  }

  List<WatchMessage> taken(HubStream stream) {
    List<WatchMessage> messages = new ArrayList<>();
    for (WatchMessage m = stream.poll(); m != null; m = stream.poll()) {
      messages.add(m);
    }
    return messages;
  }

  /** Takes all messages, and lets the hub go on until there are no more. */
  List<WatchMessage> drained(HubStream stream) {
    List<WatchMessage> messages = new ArrayList<>();
    int before = -1;
    while (messages.size() > before) {
      before = messages.size();
      settle();
      messages.addAll(taken(stream));
    }
    return messages;
  }

  /** The events of a revision. */
  List<Event> log(long revision, boolean previous) {
    List<Event> events = new ArrayList<>();
    for (int i = log.indexOf(revision); i < log.indexOf(revision + 1); i++) {
      Event event = log.event(i);
      events.add(previous ? event : Slice.bare(event));
    }
    return events;
  }

  List<Event> events(List<WatchMessage> messages, long id) {
    List<Event> events = new ArrayList<>();
    for (WatchMessage message : messages) {
      if (message instanceof WatchMessage.Events more && more.watchId() == id) {
        events.addAll(more.events());
      }
    }
    return events;
  }

  List<Long> revisions(List<WatchMessage> messages, long id) {
    return events(messages, id).stream().map(Event::revision).toList();
  }

  /** The revisions of all events, of whichever watch. */
  List<Long> revisions(List<WatchMessage> messages) {
    return messages.stream()
        .map(WatchMessage::watchId)
        .distinct()
        .flatMap(id -> revisions(messages, id).stream())
        .toList();
  }
}
