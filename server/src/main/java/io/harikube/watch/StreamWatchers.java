package io.harikube.watch;

import io.harikube.watch.WatchMessage.Canceled;
import io.harikube.watch.WatchMessage.Created;
import io.harikube.watch.WatchMessage.Progress;
import io.harikube.watch.Watcher.State;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The watches of one stream, and the steps that they take.
 *
 * <p>A few of those that are behind are read for at the same time, in turn, and only while the
 * queue is less than half full: so they neither crowd out the live ones, nor hold more than a page
 * each.
 *
 * <p>Guarded by the lock of the stream.
 */
final class StreamWatchers {
  private static final Logger log = LoggerFactory.getLogger(StreamWatchers.class);
  private static final String COMPACTED = "etcdserver: mvcc: required revision has been compacted";
  private static final String EMPTY_RANGE = "mvcc: watcher range is empty";
  private static final String DUPLICATE_ID = "mvcc: duplicate watch ID provided on the WatchStream";
  private static final String FAILED = "etcdserver: the watch failed";
  private static final int ENDED_IDS = 1024;
  private static final long NONE = -1;

  private final HubStream stream;
  private final WatchHub hub;
  private final WatchOptions options;
  private final StreamQueue queue;
  private final Map<Long, Watcher> watchers = new HashMap<>();
  private final LinkedHashSet<Watcher> waiting = new LinkedHashSet<>();

  /** Watches that ended by themselves, lately; a client cancels them nevertheless. */
  private final LinkedHashSet<Long> ended = new LinkedHashSet<>();

  private long nextId;
  private int reading;
  private int notLive;

  /** The revision that an answer to a request for progress needs at least, if there was one. */
  private long progressRequested = NONE;

  /** A revision before which the answer need not be tried again. */
  private long progressBlockedUntil;

  private boolean progressQueued;

  StreamWatchers(HubStream stream, WatchHub hub, StreamQueue queue) {
    this.stream = stream;
    this.hub = hub;
    this.options = hub.options();
    this.queue = queue;
  }

  void create(WatchRequest request) {
    long revision = hub.received();
    String refusal = refusal(request);
    if (refusal != null) {
      queue.add(new Canceled(-1, revision, true, 0, refusal));
      return;
    }
    long id = request.watchId() == 0 ? freeId() : request.watchId();
    Watcher watcher = new Watcher(stream, id, request, revision);
    watchers.put(id, watcher);
    ended.remove(id);
    hub.stats().watchers.increment();
    notLive++;
    queue.add(new Created(id, revision));
    if (watcher.next > revision) {
      hub.dispatcher().joinLater(watcher);
    } else {
      move(watcher, State.LAGGING);
      hub.catchUp().check(watcher);
    }
  }

  private @Nullable String refusal(WatchRequest request) {
    if (request.startRevision() < 0) {
      return COMPACTED;
    }
    if (request.range().isEmpty()) {
      return EMPTY_RANGE;
    }
    return request.watchId() != 0 && watchers.containsKey(request.watchId()) ? DUPLICATE_ID : null;
  }

  private long freeId() {
    while (watchers.containsKey(nextId)) {
      nextId++;
    }
    return nextId++;
  }

  void cancel(long id) {
    Watcher watcher = watchers.get(id);
    if (watcher != null) {
      watcher.muted = true;
      end(watcher);
    } else if (!ended.remove(id)) {
      return;
    }
    queue.add(new Canceled(id, hub.received(), false, 0, ""));
  }

  /** Ends a watch that cannot be served. */
  void fail(Watcher watcher) {
    if (watcher.state != State.CANCELED) {
      endWith(watcher, new Canceled(watcher.id, hub.received(), false, 0, FAILED));
    }
  }

  /** Ends a watch without the client having asked for it. */
  void endWith(Watcher watcher, Canceled message) {
    end(watcher);
    ended.add(watcher.id);
    if (ended.size() > ENDED_IDS) {
      ended.removeFirst();
    }
    queue.add(message);
  }

  private void end(Watcher watcher) {
    watchers.remove(watcher.id);
    waiting.remove(watcher);
    move(watcher, State.CANCELED);
    progressBlockedUntil = 0;
    hub.stats().watchers.decrement();
    hub.dispatcher().leaveLater(List.of(watcher));
  }

  void endAll() {
    for (Watcher watcher : watchers.values()) {
      move(watcher, State.CANCELED);
    }
    hub.stats().watchers.add(-watchers.size());
    hub.dispatcher().leaveLater(List.copyOf(watchers.values()));
    watchers.clear();
    waiting.clear();
  }

  void join(Watcher watcher) {
    move(watcher, State.JOINING);
    hub.dispatcher().joinLater(watcher);
  }

  void live(Watcher watcher) {
    move(watcher, State.LIVE);
  }

  /** Lets a watch be read for when its turn comes. */
  void waitForTurn(Watcher watcher) {
    move(watcher, State.LAGGING);
    waiting.add(watcher);
    beginTurns();
  }

  /** Puts a watch aside that cannot be read for just now, and says how often in a row. */
  int pause(Watcher watcher) {
    move(watcher, State.LAGGING);
    return ++watcher.failures;
  }

  /** Ends a watch that needs what is older than {@code revision}. */
  void compacted(Watcher watcher, long revision) {
    // The header's revision is 0: so is etcd's.
    endWith(watcher, new Canceled(watcher.id, 0, false, revision, ""));
  }

  /** Ends all watches: what becomes of the time before {@code revision} is not known. */
  void jump(long revision) {
    List.copyOf(watchers.values()).forEach(watcher -> compacted(watcher, revision));
  }

  /** Begins turns while there is room for what they bring; each ends with {@link #endTurn}. */
  void beginTurns() {
    while (reading < options.concurrentReads() && !waiting.isEmpty() && hasRoom()) {
      Watcher watcher = waiting.removeFirst();
      move(watcher, State.REPLAYING);
      reading++;
      try {
        hub.catchUp().start(watcher, watcher.next, watcher.compacted);
      } catch (RuntimeException e) {
        log.error("A watch failed and is canceled: {}", watcher.request, e);
        reading--;
        fail(watcher);
      }
    }
  }

  /** Ends a turn, and says whether the watch still wants what has been read. */
  boolean endTurn(Watcher watcher) {
    reading--;
    return watcher.state == State.REPLAYING;
  }

  /** Queues the events of a watch, which then has all up to revision {@code through}. */
  void append(Watcher watcher, List<Batch> batches, long through) {
    for (int i = 0; i < batches.size(); i++) {
      Batch batch = batches.get(i);
      boolean last = i == batches.size() - 1;
      queue.add(watcher, batch, last ? through : batch.lastRevision());
      watcher.active = true;
    }
    watcher.next = Math.max(watcher.next, through + 1);
  }

  boolean isFull() {
    return queue.bytes() >= options.streamBytes() || (queue.bytes() > 0 && hub.isFull());
  }

  private boolean hasRoom() {
    return queue.bytes() == 0 || (queue.bytes() < options.streamBytes() / 2 && !hub.isFull());
  }

  private void move(Watcher watcher, State to) {
    State from = watcher.state;
    if (from.isBehind() != to.isBehind()) {
      hub.stats().slowWatchers.add(to.isBehind() ? 1 : -1);
    }
    if (from.isLiveOrOver() != to.isLiveOrOver()) {
      notLive += to.isLiveOrOver() ? -1 : 1;
    }
    watcher.state = to;
  }

  /** Tells the idle ones of the watches that asked for it that they are at {@code revision}. */
  void tick(long revision) {
    for (Watcher watcher : watchers.values()) {
      if (watcher.request.progressNotify()
          && watcher.state == State.LIVE
          && !watcher.active
          && !watcher.progressQueued
          && revision >= watcher.progressFrom) {
        queue.addProgress(watcher, revision);
      }
      watcher.active = false;
    }
  }

  void requestProgress() {
    progressRequested = hub.received();
    hub.dispatcher().askLater(stream);
  }

  /**
   * Answers the request for progress, if all watches are at {@code revision}.
   *
   * @return whether there is nothing to be answered any more, or not before the client has taken
   *     the answer to the request before
   */
  boolean answerProgress(long revision) {
    if (progressRequested == NONE || progressQueued) {
      return true;
    }
    if (watchers.isEmpty()) {
      progressRequested = NONE;
      return true;
    }
    if (notLive > 0 || revision < progressRequested || revision < progressBlockedUntil) {
      return false;
    }
    progressBlockedUntil = 0;
    for (Watcher watcher : watchers.values()) {
      if (revision < watcher.progressFrom) {
        progressBlockedUntil = Math.max(progressBlockedUntil, watcher.progressFrom);
      }
    }
    if (progressBlockedUntil > 0) {
      return false;
    }
    progressRequested = NONE;
    progressQueued = true;
    queue.add(new Progress(-1, revision));
    return true;
  }

  /** The client has been given the answer. */
  void progressTaken() {
    progressQueued = false;
    if (progressRequested != NONE) {
      hub.dispatcher().askLater(stream);
    }
  }
}
