package io.harikube.watch;

import org.jspecify.annotations.Nullable;

/**
 * One watch, and where it stands.
 *
 * <pre>
 *   create()  ── from now on ──►  JOINING  ── has missed nothing, or little ──►  LIVE
 *      │                           │   ▲                                         │
 *      │ from the past             │   │ has reached what was handed out         │
 *      │                missed too │   │                                         │ the stream's
 *      │                      much ▼   │              it is its turn, and there  │ queue is full
 *      │                           │  REPLAYING ◄──── is room in the queue ──┐   │
 *      │                           │     │                                   │   │
 *      │                           │     └── there is more, or it failed ──► │   │
 *      └───────────────────────────┴───────────────────────────────────►  LAGGING ◄┘
 *
 *   from each of them: cancel(), close(), compaction (when it is read for), a failure ──► CANCELED
 * </pre>
 *
 * <p>The way from the past into the present has no gap, because the last step is taken by the
 * dispatcher, between two slices: it knows the last revision that it handed out; if the watch needs
 * an older one first, it is given what it missed from {@link RecentEvents}, or sent back.
 *
 * <p>Whoever wants to read or change the fields that are not final holds the lock of the stream,
 * except for {@link #group}, which is the dispatcher's.
 */
final class Watcher {

  /** Where a watch stands. */
  enum State {
    /** The dispatcher has been asked to take it in. */
    JOINING,
    /**
     * It is behind, and waits for its turn, for room in the stream's queue, or for the database.
     */
    LAGGING,
    /** It is behind, and a page is being read for it. */
    REPLAYING,
    /** The dispatcher hands it its events. */
    LIVE,
    /** It is over. */
    CANCELED;

    boolean isBehind() {
      return this == LAGGING || this == REPLAYING;
    }

    boolean isLiveOrOver() {
      return this == LIVE || this == CANCELED;
    }
  }

  final HubStream stream;
  final long id;
  final WatchRequest request;
  final EventView view;

  /** The first revision that it can be told to be at: not before its start, as in etcd. */
  final long progressFrom;

  State state = State.JOINING;

  /**
   * Events before this revision have been queued, or are not wanted. Not kept up while LIVE and
   * idle.
   */
  long next;

  /**
   * Whether events have been queued since the last time that idle watches were told the revision.
   */
  boolean active;

  /** Up to this revision, what was before an event has been compacted away. */
  long compacted;

  /** Whether the queue holds a progress message of this watch. */
  boolean progressQueued;

  /** Whether the client has canceled it: its queued events are not wanted any more. */
  boolean muted;

  /** How often in a row reading has failed. */
  int failures;

  /** The group of the index that it is in. */
  @Nullable WatcherGroup group;

  /**
   * @param revision the store's revision
   */
  Watcher(HubStream stream, long id, WatchRequest request, long revision) {
    this.stream = stream;
    this.id = id;
    this.request = request;
    this.view = EventView.of(request);
    boolean fromNow = request.startRevision() == 0;
    this.next = fromNow ? revision + 1 : request.startRevision();
    this.progressFrom = fromNow ? revision : request.startRevision();
  }
}
