package io.harikube.watch;

import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.EventLog.Page;
import io.harikube.store.KeyRange;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads for the watches that are behind: each turn a page, from the recent events if they go back
 * far enough, else from the log, which only a few turns read at the same time, and from which
 * watches with the same range share what was read lately. Streams decide whose turn it is. A turn
 * ends with exactly one call to the stream of its watch.
 *
 * <p>Reading is tried again, with growing pauses, until it succeeds: that the database is away does
 * not end a watch. Safe for use by several threads.
 */
final class CatchUp {
  private static final Logger log = LoggerFactory.getLogger(CatchUp.class);
  private static final long FIRST_PAUSE_MILLIS = 50;
  private static final long LONGEST_PAUSE_MILLIS = 5_000;
  private static final int SMALL_PAGE = 64 << 10;

  private final EventLog events;
  private final WatchOptions options;
  private final HubThreads threads;
  private final RecentEvents recent;
  private final Dispatcher dispatcher;
  private final WatchStats stats;
  private final ReadPermits permits;
  private final SharedPages shared;
  private final CompactionCheck compaction;
  private final AtomicBoolean failing = new AtomicBoolean();

  CatchUp(
      EventLog events,
      WatchOptions options,
      HubThreads threads,
      RecentEvents recent,
      Dispatcher dispatcher,
      WatchStats stats) {
    this.events = events;
    this.options = options;
    this.threads = threads;
    this.recent = recent;
    this.dispatcher = dispatcher;
    this.stats = stats;
    this.compaction = new CompactionCheck(events, threads.readers());
    this.shared = new SharedPages(2 * options.messageBytes(), options.recentBytes());
    this.permits = new ReadPermits(options.concurrentReads(), threads.readers());
  }

  /** How long to wait after so many failures in a row. */
  static Duration pause(int failures) {
    return Duration.ofMillis(
        Math.min(LONGEST_PAUSE_MILLIS, FIRST_PAUSE_MILLIS << Math.min(failures - 1, 10)));
  }

  /**
   * Finds out whether a new watch begins at a revision that can still be read. What can be read
   * later comes from memory, or fails.
   */
  void check(Watcher watcher) {
    var _ =
        compaction
            .ask()
            .whenComplete(
                (compacted, e) -> {
                  if (e == null) {
                    watcher.stream.checked(watcher, compacted);
                  } else {
                    retry(watcher.stream.unchecked(watcher), () -> check(watcher), e);
                  }
                });
  }

  /**
   * Begins the turn of a watch.
   *
   * @param from the revision from which on it needs events
   * @param compacted the revision up to which events show nothing of what was before, as in etcd
   */
  void start(Watcher watcher, long from, long compacted) {
    threads.readers().execute(() -> turn(watcher, from, compacted));
  }

  private void turn(Watcher watcher, long from, long compacted) {
    try {
      long to = dispatcher.dispatched();
      if (from > to) {
        watcher.stream.replayed(watcher, List.of(), from - 1);
        return;
      }
      Page page =
          recent.read(
              watcher.request.range(), watcher.view, from, to, pageBytes(), Integer.MAX_VALUE);
      if (page == null) {
        permits.run(() -> readLog(watcher, from, compacted));
      } else {
        deliver(watcher, page, page.events(), compacted);
      }
    } catch (Throwable e) {
      retry(watcher, e);
    }
  }

  private void readLog(Watcher watcher, long from, long compacted) {
    try {
      if (!watcher.stream.isReplaying(watcher)) {
        watcher.stream.replayed(watcher, List.of(), from - 1);
        return;
      }
      KeyRange range = watcher.request.range();
      boolean previous = watcher.view.needsPrevious();
      Page page = shared.find(range, previous, from);
      if (page == null) {
        page = events.read(range, from, dispatcher.dispatched(), previous, pageBytes());
        if (page.through() < from) {
          throw new IllegalStateException("a page of the log without a revision");
        }
        stats.logReads.increment();
        shared.add(range, previous, from, page);
        if (failing.compareAndSet(true, false)) {
          log.info("Watches can read the log again");
        }
      }
      deliver(watcher, page, wanted(watcher, page.events()), compacted);
    } catch (Throwable e) {
      if (e instanceof StoreException refused && refused.reason() == Reason.COMPACTED) {
        compacted(watcher, from);
      } else {
        retry(watcher, e);
      }
    }
  }

  /**
   * Each stream may have a page, however many there are: the fuller they are together, the smaller
   * it is.
   */
  private int pageBytes() {
    long left = (options.totalBytes() - stats.pendingBytes.get()) / 4;
    return Math.clamp(left, Math.min(SMALL_PAGE, options.pageBytes()), options.pageBytes());
  }

  private void compacted(Watcher watcher, long from) {
    try {
      watcher.stream.compacted(watcher, Math.max(from + 1, events.compactedRevision()));
    } catch (RuntimeException e) {
      retry(watcher, e);
    }
  }

  /**
   * @param wanted what the watch wants of the page; null if that cannot be told
   */
  private void deliver(Watcher watcher, Page page, @Nullable List<Event> wanted, long compacted) {
    List<Batch> batches = wanted == null ? null : batches(watcher, wanted, compacted);
    if (batches == null) {
      watcher.stream.broken(watcher);
    } else {
      watcher.stream.replayed(watcher, batches, page.through());
    }
  }

  private @Nullable List<Event> wanted(Watcher watcher, List<Event> all) {
    try {
      List<Event> wanted = new ArrayList<>(all.size());
      for (int i = 0; i < all.size(); i++) {
        if (watcher.view.wants(all.get(i))) {
          wanted.add(Slice.beforeRevision(i, all));
        }
      }
      return wanted;
    } catch (RuntimeException e) {
      log.error("A watch failed and is canceled: {}", watcher.request, e);
      return null;
    }
  }

  private @Nullable List<Batch> batches(Watcher watcher, List<Event> wanted, long compacted) {
    try {
      List<Event> shown = new ArrayList<>(wanted.size());
      for (Event event : wanted) {
        boolean previous = watcher.view.previous() && event.revision() > compacted;
        shown.add(previous ? event : Slice.bare(event));
      }
      return Batch.split(shown, Math.max(options.messageBytes(), pageBytes()));
    } catch (RuntimeException e) {
      log.error("A watch failed and is canceled: {}", watcher.request, e);
      return null;
    }
  }

  private void retry(Watcher watcher, Throwable e) {
    retry(watcher.stream.failed(watcher), () -> watcher.stream.retry(watcher), e);
  }

  private void retry(int failures, Runnable task, Throwable e) {
    if (failing.compareAndSet(false, true)) {
      log.warn("Reading the log for watches failed; it is tried again", e);
    }
    if (failures > 0) {
      threads.timer().after(pause(failures), task);
    }
  }
}
