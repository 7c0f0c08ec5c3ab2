package io.harikube.watch;

import io.harikube.store.EventLog;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Where watches meet the store: hands the events of its commits to the streams of all clients.
 *
 * <pre>
 *   writer ──► inbox ──► dispatcher ──► index ──► stream's queue ──► client
 *                            │                        ▲
 *                            ├──► recent events ──────┤ pages, for watches
 *                            │            log ────────┘ that are behind
 *                            └ joins, leaves, progress
 * </pre>
 *
 * <p>Memory is bounded by {@link WatchOptions}. The writer is never held up, nor is a client by
 * another. Safe for use by several threads.
 */
public final class WatchHub implements AutoCloseable {
  private final WatchOptions options;
  private final HubThreads threads;
  private final WatchStats stats = new WatchStats();
  private final Set<HubStream> streams = ConcurrentHashMap.newKeySet();
  private final Dispatcher dispatcher;
  private final CatchUp catchUp;
  private volatile boolean closed;

  /** A hub on threads of its own, which takes the place of the log's listener. */
  public WatchHub(EventLog log, WatchOptions options) {
    this(log, options, HubThreads.start());
  }

  WatchHub(EventLog log, WatchOptions options, HubThreads threads) {
    this.options = options;
    this.threads = threads;
    RecentEvents recent = new RecentEvents(options.recentBytes());
    this.dispatcher = new Dispatcher(log, options, threads, recent, streams);
    this.catchUp = new CatchUp(log, options, threads, recent, dispatcher, stats);
    dispatcher.open(log.subscribe(dispatcher.inbox()::commit));
    tick();
  }

  /**
   * Opens a stream of watches.
   *
   * @throws IllegalStateException if the hub is closed
   */
  public WatchStream open() {
    return openStream();
  }

  HubStream openStream() {
    HubStream stream = new HubStream(this);
    streams.add(stream);
    if (closed) {
      stream.close();
      throw new IllegalStateException("the watch hub is closed");
    }
    return stream;
  }

  /** Closes all streams and ends the threads. Commits that come later are ignored. */
  @Override
  public void close() {
    closed = true;
    dispatcher.inbox().close();
    streams.forEach(HubStream::close);
    threads.shutdown().run();
  }

  /** The number of open streams. */
  public int streams() {
    return streams.size();
  }

  /** The number of watches. */
  public long watchers() {
    return stats.watchers.sum();
  }

  /** The number of watches that are behind and read the log. */
  public long slowWatchers() {
    return stats.slowWatchers.sum();
  }

  /** The number of events that wait to be taken from streams; each counts once per watch. */
  public long pendingEvents() {
    return stats.pendingEvents.sum();
  }

  /** The weight of the messages that wait in streams, and of those that clients are being sent. */
  public long pendingBytes() {
    return stats.pendingBytes.get();
  }

  /** The number of events that have been taken from streams so far. */
  public long eventsSent() {
    return stats.eventsSent.sum();
  }

  /** How many times watches that were behind have read the log so far. */
  public long logReads() {
    return stats.logReads.sum();
  }

  /** How many commits have been dropped from memory so far because the dispatcher was behind. */
  public long droppedCommits() {
    return dispatcher.inbox().dropped();
  }

  /** How many revisions the dispatcher is behind the store. */
  public long lag() {
    return Math.max(0, received() - dispatcher.dispatched());
  }

  WatchOptions options() {
    return options;
  }

  WatchStats stats() {
    return stats;
  }

  Dispatcher dispatcher() {
    return dispatcher;
  }

  CatchUp catchUp() {
    return catchUp;
  }

  /** The store's revision. */
  long received() {
    return dispatcher.inbox().received();
  }

  /** Whether the streams hold as much as they may together. */
  boolean isFull() {
    return stats.pendingBytes.get() >= options.totalBytes();
  }

  void closed(HubStream stream) {
    streams.remove(stream);
  }

  private void tick() {
    if (!closed) {
      threads.timer().after(options.progressInterval(), this::tick);
      dispatcher.tickLater();
    }
  }
}
