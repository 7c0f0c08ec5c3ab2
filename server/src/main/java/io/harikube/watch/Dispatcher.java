package io.harikube.watch;

import io.harikube.store.Bytes;
import io.harikube.store.Commit;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.EventLog.Page;
import io.harikube.store.KeyRange;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands the commits out to the live watches, slice by slice, in order.
 *
 * <p>It takes one step at a time, on one thread at a time, and none of the steps waits for
 * anything: neither for a client (a stream that is full takes the watch out of the index) nor for
 * the database (commits whose events are not at hand are read by another thread, once for all
 * watches, while what came later waits in the inbox). Nothing that a watch does can end it.
 *
 * <p>Between two slices every live watch has been handed exactly the events up to {@link
 * #dispatched}. That is when watches come and go, and when it can be said how far they are.
 *
 * <p>Methods whose name ends in {@code Later} may be called by any thread.
 */
final class Dispatcher implements Runnable {
  private static final Logger log = LoggerFactory.getLogger(Dispatcher.class);

  /** A watch that has missed more than this many events goes back to the readers. */
  private static final int JOIN_EVENTS = 512;

  private static final KeyRange ALL = new KeyRange(Bytes.EMPTY, null);

  private final EventLog events;
  private final WatchOptions options;
  private final HubThreads threads;
  private final RecentEvents recent;
  private final Set<HubStream> streams;
  private final Inbox inbox;

  private final WatcherIndex index = new WatcherIndex();
  private final ArrayDeque<Slice> slices = new ArrayDeque<>();
  private final List<WatcherGroup> touched = new ArrayList<>();
  private final Consumer<WatcherGroup> touch = this::touch;
  private final Set<HubStream> asking = new LinkedHashSet<>();
  private int current;
  private long gapEnd;
  private boolean filling;
  private volatile long dispatched;

  Dispatcher(
      EventLog events,
      WatchOptions options,
      HubThreads threads,
      RecentEvents recent,
      Set<HubStream> streams) {
    this.events = events;
    this.options = options;
    this.threads = threads;
    this.recent = recent;
    this.streams = streams;
    this.inbox = new Inbox(options.inboxBytes(), threads.dispatcher(), this);
  }

  Inbox inbox() {
    return inbox;
  }

  /** For tests, while the dispatcher rests. */
  WatcherIndex index() {
    return index;
  }

  /** All events up to this revision have been handed out. */
  long dispatched() {
    return dispatched;
  }

  /** To be called once; commits may have come in before. */
  void open(long revision) {
    dispatched = revision;
    inbox.open(revision);
  }

  /** Takes a watch that is {@code JOINING} into the index, or sends it back to be read for. */
  void joinLater(Watcher watcher) {
    inbox.command(() -> join(watcher));
  }

  void leaveLater(Collection<Watcher> watchers) {
    inbox.command(() -> watchers.forEach(index::remove));
  }

  /** Lets a stream that has asked for its progress be told once it can be. */
  void askLater(HubStream stream) {
    inbox.command(() -> asking.add(stream));
  }

  /** Tells idle watches how far they are. */
  void tickLater() {
    inbox.command(() -> streams.forEach(stream -> stream.tick(dispatched)));
  }

  @Override
  public void run() {
    for (int i = 0; i < threads.quantum(); i++) {
      try {
        if (!step()) {
          return;
        }
      } catch (Throwable e) {
        log.error("A step of the dispatcher failed", e);
      }
    }
    threads.dispatcher().execute(this);
  }

  /** Takes a step, and says whether there may be another; if not, the inbox starts this again. */
  private boolean step() {
    Runnable command = inbox.nextCommand();
    if (command != null) {
      command.run();
    } else if (!slices.isEmpty()) {
      dispatch(slices.remove());
    } else if (filling) {
      return !inbox.rest(false);
    } else if (dispatched < gapEnd) {
      fill();
    } else {
      Commit commit = inbox.nextCommit();
      if (commit == null) {
        return !inbox.rest(true);
      }
      begin(commit);
    }
    asking.removeIf(stream -> stream.answerProgress(dispatched));
    return true;
  }

  private void begin(Commit commit) {
    if (commit.jump()) {
      jump(commit.lastRevision());
      return;
    }
    if (commit.firstRevision() != dispatched + 1) {
      log.error("A commit does not follow the one before: {} after {}", commit, dispatched);
    }
    List<Event> all = commit.firstRevision() == dispatched + 1 ? commit.events() : null;
    if (all == null) {
      gapEnd = commit.lastRevision();
      return;
    }
    try {
      slices.addAll(
          Slice.split(all, dispatched + 1, commit.lastRevision(), options.messageBytes()));
    } catch (RuntimeException e) {
      log.error("The events of a commit are read from the log instead", e);
      gapEnd = commit.lastRevision();
    }
  }

  /** Every watch ends as compacted: what it has seen may be what the store has lost. */
  private void jump(long revision) {
    recent.clear();
    dispatched = revision;
    gapEnd = revision;
    streams.forEach(stream -> stream.jump(revision));
  }

  private void touch(WatcherGroup group) {
    if (group.match(current)) {
      touched.add(group);
    }
  }

  private void dispatch(Slice slice) {
    try {
      for (current = 0; current < slice.size(); current++) {
        index.match(slice.event(current).kv().key(), touch);
      }
      for (WatcherGroup group : touched) {
        group.deliver(slice);
      }
      recent.add(slice);
    } catch (Throwable e) {
      log.error("All watches read revision {} from the log", slice.first(), e);
      sendBack(slice.first());
    } finally {
      dispatched = slice.last();
      for (WatcherGroup group : touched) {
        group.reset();
        index.removeIfEmpty(group);
      }
      touched.clear();
    }
  }

  private void join(Watcher watcher) {
    try {
      long from = watcher.stream.joining(watcher);
      if (from < 0) {
        return;
      }
      List<Batch> missed = List.of();
      if (from <= dispatched) {
        Page page =
            recent.read(
                watcher.request.range(),
                watcher.view,
                from,
                dispatched,
                Integer.MAX_VALUE,
                JOIN_EVENTS);
        if (page == null || page.through() < dispatched) {
          watcher.stream.sendBack(watcher, from);
          return;
        }
        missed = Batch.split(page.events(), options.batchBytes());
      }
      if (watcher.stream.joined(watcher, missed, dispatched)) {
        index.add(watcher);
      }
    } catch (RuntimeException e) {
      log.error("A watch failed and is canceled: {}", watcher.request, e);
      watcher.stream.fail(watcher);
    }
  }

  /** Makes all live watches read the log, from {@code revision} on or where they are. */
  private void sendBack(long revision) {
    for (WatcherGroup group : index.groups()) {
      for (Watcher watcher : group.removeAll()) {
        watcher.group = null;
        watcher.stream.sendBack(watcher, revision);
      }
      index.removeIfEmpty(group);
    }
  }

  /** Sees to it that the slices up to {@link #gapEnd} come from the log. */
  private void fill() {
    if (index.isEmpty()) {
      dispatched = gapEnd;
      return;
    }
    filling = true;
    long from = dispatched + 1;
    long to = gapEnd;
    threads.readers().execute(() -> readGap(from, to, 1));
  }

  private void readGap(long from, long to, int attempt) {
    try {
      Page page = events.read(ALL, from, to, true, options.pageBytes());
      if (page.through() < from) {
        throw new IllegalStateException("a page of the log without a revision");
      }
      inbox.command(() -> filled(page));
    } catch (Throwable e) {
      if (e instanceof StoreException refused && refused.reason() == Reason.COMPACTED) {
        inbox.command(() -> filled(null));
        return;
      }
      if (attempt == 1) {
        log.warn("Reading revision {} of the log failed; it is tried again", from, e);
      }
      threads
          .timer()
          .after(
              CatchUp.pause(attempt),
              () -> threads.readers().execute(() -> readGap(from, to, attempt + 1)));
    }
  }

  private void filled(@Nullable Page page) {
    filling = false;
    if (page != null) {
      try {
        slices.addAll(
            Slice.split(page.events(), dispatched + 1, page.through(), options.messageBytes()));
        return;
      } catch (RuntimeException e) {
        log.error("All watches read revision {} from the log", dispatched + 1, e);
      }
    }
    sendBack(dispatched + 1);
    dispatched = gapEnd;
  }
}
