package io.harikube.watch;

import io.harikube.watch.WatchMessage.Progress;
import io.harikube.watch.Watcher.State;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * One client's stream: what the client asks for, what the dispatcher hands in, and what has been
 * read for watches that are behind, all under one lock.
 *
 * <p>The lock is held for one step of one watch (or a look at each), never while anything is read;
 * nothing but the client waits for it to change something. Under it, no other lock is taken but
 * those of the inbox and the executors, which are held for a moment and take none.
 */
final class HubStream implements WatchStream {
  private final WatchHub hub;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition ready = lock.newCondition();
  private final StreamQueue queue;
  private final StreamWatchers watchers;
  private Runnable listener = () -> {};
  private boolean closed;

  HubStream(WatchHub hub) {
    this.hub = hub;
    this.queue = new StreamQueue(hub.options(), hub.stats());
    this.watchers = new StreamWatchers(this, hub, queue);
  }

  private void unlock() {
    boolean something = closed || !queue.isEmpty();
    Runnable told = listener;
    if (something) {
      ready.signal();
    }
    lock.unlock();
    if (something) {
      told.run();
    }
  }

  @Override
  public void listen(Runnable newListener) {
    lock.lock();
    try {
      listener = newListener;
    } finally {
      unlock();
    }
  }

  // What the client asks for.

  @Override
  public void create(WatchRequest request) {
    lock.lock();
    try {
      if (!closed) {
        watchers.create(request);
      }
    } finally {
      unlock();
    }
  }

  @Override
  public void cancel(long watchId) {
    lock.lock();
    try {
      if (!closed) {
        watchers.cancel(watchId);
      }
    } finally {
      unlock();
    }
  }

  @Override
  public void progress() {
    lock.lock();
    try {
      if (!closed) {
        watchers.requestProgress();
      }
    } finally {
      unlock();
    }
  }

  @Override
  public WatchMessage take() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      while (true) {
        WatchMessage message = next();
        if (message != null) {
          return message;
        }
        if (closed) {
          throw new InterruptedException("the stream is closed");
        }
        ready.await();
      }
    } finally {
      unlock();
    }
  }

  @Override
  public @Nullable WatchMessage poll() {
    lock.lock();
    try {
      WatchMessage message = next();
      if (message == null && closed) {
        throw new CancellationException("the stream is closed");
      }
      return message;
    } finally {
      // Whoever polls goes on polling.
      lock.unlock();
    }
  }

  private @Nullable WatchMessage next() {
    WatchMessage message = queue.poll();
    if (message instanceof Progress progress && progress.watchId() == -1) {
      watchers.progressTaken();
    }
    watchers.beginTurns();
    return message;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (!closed) {
        closed = true;
        watchers.endAll();
        queue.clear();
        ready.signalAll();
      }
    } finally {
      unlock();
    }
    hub.closed(this);
  }

  // What the dispatcher does.

  /** The revision that a watch needs next; -1 if it does not want to join any more. */
  long joining(Watcher watcher) {
    lock.lock();
    try {
      return watcher.state == State.JOINING ? watcher.next : -1;
    } finally {
      unlock();
    }
  }

  /**
   * Makes a watch live.
   *
   * @param missed its events up to revision {@code through}, which it has not got yet
   * @return whether it is live
   */
  boolean joined(Watcher watcher, List<Batch> missed, long through) {
    lock.lock();
    try {
      if (watcher.state != State.JOINING) {
        return false;
      }
      if (!missed.isEmpty() && watchers.isFull()) {
        watchers.waitForTurn(watcher);
        return false;
      }
      watchers.append(watcher, missed, through);
      watchers.live(watcher);
      return true;
    } finally {
      unlock();
    }
  }

  /**
   * Queues events for a live watch.
   *
   * @param through the last revision that the events speak of
   * @return whether the watch stays live
   */
  boolean offer(Watcher watcher, Batch batch, long through) {
    lock.lock();
    try {
      if (watcher.state != State.LIVE) {
        return false;
      }
      Batch wanted = batch.from(watcher.next);
      if (wanted.isEmpty()) {
        return true;
      }
      if (watchers.isFull()) {
        watcher.next = wanted.firstRevision();
        watchers.waitForTurn(watcher);
        return false;
      }
      watchers.append(watcher, List.of(wanted), through);
      return true;
    } finally {
      unlock();
    }
  }

  /** Makes a watch read the log, from {@code revision} on or from where it is. */
  void sendBack(Watcher watcher, long revision) {
    lock.lock();
    try {
      if (watcher.state == State.LIVE || watcher.state == State.JOINING) {
        watcher.next = Math.max(watcher.next, revision);
        watchers.waitForTurn(watcher);
      }
    } finally {
      unlock();
    }
  }

  /** Ends all watches, because the store goes on at {@code revision} without what was before. */
  void jump(long revision) {
    lock.lock();
    try {
      if (!closed) {
        watchers.jump(revision);
      }
    } finally {
      unlock();
    }
  }

  /** Ends a watch that cannot be served. */
  void fail(Watcher watcher) {
    lock.lock();
    try {
      watchers.fail(watcher);
    } finally {
      unlock();
    }
  }

  /** Tells the idle ones of the watches that asked for it that they are at {@code revision}. */
  void tick(long revision) {
    lock.lock();
    try {
      watchers.tick(revision);
    } finally {
      unlock();
    }
  }

  /**
   * Answers the request for progress, if all watches are at {@code revision}.
   *
   * @return whether there is nothing to be answered any more
   */
  boolean answerProgress(long revision) {
    lock.lock();
    try {
      return closed || watchers.answerProgress(revision);
    } finally {
      unlock();
    }
  }

  // How catching up goes on.

  /** A new watch from the past has been looked at: nothing below the revision can be read. */
  void checked(Watcher watcher, long compactRevision) {
    lock.lock();
    try {
      if (watcher.state == State.LAGGING) {
        if (watcher.next < compactRevision) {
          watchers.compacted(watcher, compactRevision);
        } else {
          watcher.failures = 0;
          watcher.compacted = compactRevision;
          watchers.waitForTurn(watcher);
        }
      }
    } finally {
      unlock();
    }
  }

  /** It could not be looked at; says how many times in a row, 0 if the watch is over. */
  int unchecked(Watcher watcher) {
    lock.lock();
    try {
      return watcher.state == State.LAGGING ? watchers.pause(watcher) : 0;
    } finally {
      unlock();
    }
  }

  boolean isReplaying(Watcher watcher) {
    lock.lock();
    try {
      return watcher.state == State.REPLAYING;
    } finally {
      unlock();
    }
  }

  /** A page has been read: all events up to revision {@code through}. */
  void replayed(Watcher watcher, List<Batch> batches, long through) {
    lock.lock();
    try {
      if (watchers.endTurn(watcher)) {
        watcher.failures = 0;
        watchers.append(watcher, batches, through);
        if (through >= hub.dispatcher().dispatched()) {
          watchers.join(watcher);
        } else {
          watchers.waitForTurn(watcher);
        }
      }
      watchers.beginTurns();
    } finally {
      unlock();
    }
  }

  /** What the watch needs next has been compacted away. */
  void compacted(Watcher watcher, long compactRevision) {
    lock.lock();
    try {
      if (watchers.endTurn(watcher)) {
        watchers.compacted(watcher, compactRevision);
      }
      watchers.beginTurns();
    } finally {
      unlock();
    }
  }

  /** What has been read cannot be delivered. */
  void broken(Watcher watcher) {
    lock.lock();
    try {
      if (watchers.endTurn(watcher)) {
        watchers.fail(watcher);
      }
      watchers.beginTurns();
    } finally {
      unlock();
    }
  }

  /** The log could not be read; says how many times in a row, 0 if the watch is over. */
  int failed(Watcher watcher) {
    lock.lock();
    try {
      int failures = watchers.endTurn(watcher) ? watchers.pause(watcher) : 0;
      watchers.beginTurns();
      return failures;
    } finally {
      unlock();
    }
  }

  void retry(Watcher watcher) {
    lock.lock();
    try {
      if (watcher.state == State.LAGGING) {
        watchers.waitForTurn(watcher);
      }
    } finally {
      unlock();
    }
  }
}
