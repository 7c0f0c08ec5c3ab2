package io.harikube.watch;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import io.harikube.testing.TestAttributes;
import io.harikube.watch.WatchMessage.Canceled;
import io.harikube.watch.WatchMessage.Created;
import io.harikube.watch.WatchMessage.Events;
import io.harikube.watch.WatchMessage.Progress;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A client of one stream that knows what the log says, and checks every message: each watch gets
 * exactly the events that it asked for, once and in order, no revision in parts, no message speaks
 * of a revision whose events have not come, and nothing comes after the end of a watch.
 */
final class ClientModel {
  private final TestLog log;
  private final HubStream stream;
  private final WatchOptions options;
  private final boolean alone;
  private final ArrayDeque<Requested> requests = new ArrayDeque<>();
  private final ArrayDeque<Long> progressRequests = new ArrayDeque<>();
  private final Map<Long, Watch> watches = new HashMap<>();
  private final Map<Long, ArrayDeque<Integer>> cancels = new HashMap<>();
  private final Set<Long> compactedIds = new HashSet<>();
  private @Nullable Watch inPieces;
  private int sequence;
  private long lastProgressRequest;
  private boolean awaitsProgress;

  private record Requested(WatchRequest request, int sequence, long revision, long compacted) {}

  /** What the client knows of one watch. */
  static final class Watch {
    final WatchRequest request;
    final long start;
    final boolean tooOld;
    int position;
    long told;
    int events;

    Watch(WatchRequest request, long start, boolean tooOld, int position) {
      this.request = request;
      this.start = start;
      this.tooOld = tooOld;
      this.position = position;
      this.told = start - 1;
    }

    private boolean wants(Event event) {
      return event.revision() >= start
          && request.range().contains(event.kv().key())
          && !(event.isDelete() ? request.noDelete() : request.noPut())
          && (request.selection().filter().isEmpty() || isSelected(event));
    }

    private boolean isSelected(Event event) {
      Filter filter = request.selection().filter();
      KeyValue before = event.previous();
      return (!event.isDelete() && matches(filter, event.kv()))
          || (before != null && matches(filter, before));
    }

    private static boolean matches(Filter filter, KeyValue kv) {
      return filter.matches(kv.key(), TestAttributes.read(kv.key(), kv.value()));
    }
  }

  /**
   * @param alone whether nothing happens between a request and its processing
   */
  ClientModel(TestLog log, HubStream stream, WatchOptions options, boolean alone) {
    this.log = log;
    this.stream = stream;
    this.options = options;
    this.alone = alone;
  }

  HubStream stream() {
    return stream;
  }

  Collection<Watch> watches() {
    return watches.values();
  }

  List<Long> ids() {
    return watches.keySet().stream().sorted().toList();
  }

  void create(WatchRequest request) {
    requests.add(new Requested(request, sequence++, log.published(), log.compacted()));
    stream.create(request);
  }

  void cancel(long id) {
    cancels(id).add(sequence++);
    stream.cancel(id);
  }

  private ArrayDeque<Integer> cancels(long id) {
    return cancels.computeIfAbsent(id, _ -> new ArrayDeque<>());
  }

  void progress() {
    lastProgressRequest = log.published();
    progressRequests.add(lastProgressRequest);
    awaitsProgress = true;
    stream.progress();
  }

  boolean awaitsCreation() {
    return !requests.isEmpty();
  }

  boolean awaitsProgress() {
    return awaitsProgress;
  }

  void accept(WatchMessage message) {
    if (inPieces != null) {
      assertThat(message).isInstanceOf(Events.class);
      assertThat(watches.get(message.watchId())).isSameAs(inPieces);
    }
    switch (message) {
      case Created created -> onCreated(created);
      case Events events -> onEvents(events);
      case Progress progress -> onProgress(progress);
      case Canceled canceled -> onCanceled(canceled);
    }
  }

  private void onCreated(Created created) {
    Requested requested = requests.remove();
    WatchRequest request = requested.request;
    assertThat(created.revision())
        .isGreaterThanOrEqualTo(requested.revision)
        .isLessThanOrEqualTo(log.revision());
    if (alone) {
      assertThat(created.revision()).isEqualTo(requested.revision);
    }
    if (request.watchId() != 0) {
      assertThat(created.watchId()).isEqualTo(request.watchId());
    }
    assertThat(watches).doesNotContainKey(created.watchId());
    long start = request.startRevision();
    boolean tooOld = start > 0 && start < requested.compacted && start <= created.revision();
    start = start == 0 ? created.revision() + 1 : start;
    compactedIds.remove(created.watchId());
    // What was asked before the watch was has been ignored.
    cancels(created.watchId()).removeIf(cancel -> cancel < requested.sequence);
    watches.put(created.watchId(), new Watch(request, start, tooOld, log.indexOf(start)));
  }

  private void onEvents(Events message) {
    Watch watch = found(watches.get(message.watchId()), message);
    assertThat(watch.tooOld).isFalse();
    assertThat(message.events()).isNotEmpty();
    long revisions = 0;
    long weight = 0;
    long last = 0;
    for (Event event : message.events()) {
      Event expected = found(next(watch), event);
      if (!event.kv().equals(expected.kv())) {
        throw new AssertionError(
            "%s of %s, start %s: %s (previous %s) instead of %s"
                .formatted(
                    message.watchId(),
                    watch.request,
                    watch.start,
                    event.kv(),
                    event.previous(),
                    expected.kv()));
      }
      // What is at the compacted revision of its start or below shows nothing from before.
      if (event.previous() != null || event.revision() > log.compacted()) {
        assertThat(event.previous())
            .isSameAs(watch.request.previous() ? expected.previous() : null);
      }
      watch.position++;
      watch.events++;
      weight += event.weight();
      revisions += event.revision() == last ? 0 : 1;
      last = event.revision();
    }
    assertThat(message.revision())
        .isGreaterThanOrEqualTo(last)
        .isGreaterThan(watch.told)
        .isLessThanOrEqualTo(log.revision());
    int limit = watch.request.fragment() ? options.messageBytes() : options.maxMessageBytes();
    if (message.events().size() > 1) {
      assertThat(weight).isLessThanOrEqualTo(limit);
      assertThat(revisions == 1 || weight <= options.batchBytes()).isTrue();
    }
    if (message.fragment()) {
      inPieces = watch;
    } else {
      inPieces = null;
      watch.told = message.revision();
      assertComplete(watch, message.revision());
    }
  }

  private void onProgress(Progress progress) {
    assertThat(progress.revision()).isLessThanOrEqualTo(log.revision());
    if (progress.watchId() == -1) {
      assertThat(watches).isNotEmpty();
      assertThat(progressRequests).isNotEmpty();
      // It answers this request at least, and perhaps some of those that follow.
      assertThat(progress.revision()).isGreaterThanOrEqualTo(progressRequests.remove());
      awaitsProgress &= progress.revision() < lastProgressRequest;
      watches.forEach(
          (id, watch) -> {
            // What is queued for a watch that the client has canceled need not come any more.
            if (cancels(id).isEmpty()) {
              onProgress(watch, progress.revision());
            }
          });
    } else {
      Watch watch = found(watches.get(progress.watchId()), progress);
      assertThat(watch.request.progressNotify()).isTrue();
      onProgress(watch, progress.revision());
    }
  }

  private void onProgress(Watch watch, long revision) {
    assertThat(watch.tooOld).isFalse();
    assertThat(revision).isGreaterThanOrEqualTo(watch.told);
    assertThat(revision).isGreaterThanOrEqualTo(watch.request.startRevision());
    watch.told = revision;
    assertComplete(watch, revision);
  }

  private void onCanceled(Canceled canceled) {
    if (canceled.created()) {
      WatchRequest request = requests.remove().request;
      assertThat(canceled.watchId()).isEqualTo(-1);
      assertThat(canceled.compactRevision()).isZero();
      if (request.startRevision() < 0) {
        assertThat(canceled.reason())
            .isEqualTo("etcdserver: mvcc: required revision has been compacted");
      } else if (request.range().isEmpty()) {
        assertThat(canceled.reason()).isEqualTo("mvcc: watcher range is empty");
      } else {
        assertThat(canceled.reason())
            .isEqualTo("mvcc: duplicate watch ID provided on the WatchStream");
        assertThat(watches).containsKey(request.watchId());
      }
      return;
    }
    assertThat(canceled.reason()).isEmpty();
    if (canceled.compactRevision() != 0) {
      Watch watch = found(watches.remove(canceled.watchId()), canceled);
      assertThat(canceled.compactRevision())
          .isGreaterThan(watch.told + 1)
          .isLessThanOrEqualTo(log.compacted());
      compactedIds.add(canceled.watchId());
    } else {
      cancels(canceled.watchId()).remove();
      boolean known = watches.remove(canceled.watchId()) != null;
      assertThat(known || compactedIds.remove(canceled.watchId())).isTrue();
    }
  }

  /** After everything has been delivered. */
  void assertCaughtUp() {
    assertThat(requests).isEmpty();
    assertThat(inPieces).isNull();
    for (Watch watch : watches.values()) {
      assertThat(watch.tooOld).isFalse();
      assertComplete(watch, log.revision());
    }
  }

  private void assertComplete(Watch watch, long revision) {
    Event next = next(watch);
    if (next != null && next.revision() <= revision) {
      throw new AssertionError("at revision " + revision + " without " + next);
    }
  }

  private static <T> T found(@Nullable T wanted, Object message) {
    if (wanted == null) {
      throw new AssertionError("not expected: " + message);
    }
    return wanted;
  }

  private @Nullable Event next(Watch watch) {
    for (; watch.position < log.size(); watch.position++) {
      Event event = log.event(watch.position);
      if (watch.wants(event)) {
        return event;
      }
    }
    return null;
  }
}
