package io.harikube.watch;

import static java.util.Objects.requireNonNull;

import io.harikube.store.Commit;
import io.harikube.store.Event;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * What waits for the dispatcher: commits, in order, and commands, which go first.
 *
 * <p>Any thread puts things in; the dispatcher alone takes them out. Whoever puts something into an
 * inbox that rests starts the dispatcher. The events of commits are bounded by bytes: what comes on
 * top of that is remembered by its revisions only, and all of such commits in a row as one.
 */
final class Inbox {
  private final long maxBytes;
  private final Executor executor;
  private final Runnable dispatcher;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Runnable> commands = new ArrayDeque<>();
  private final ArrayDeque<Waiting> commits = new ArrayDeque<>();
  private long bytes;
  private long dropped;
  private boolean opened;
  private boolean closed;
  private boolean running;
  private volatile long received;

  private record Waiting(Commit commit, long bytes) {}

  Inbox(long maxBytes, Executor executor, Runnable dispatcher) {
    this.maxBytes = maxBytes;
    this.executor = executor;
    this.dispatcher = dispatcher;
  }

  /** The store's revision: that of the last commit that came in. */
  long received() {
    return received;
  }

  /** How many commits were reduced to their revisions for want of room. */
  long dropped() {
    lock.lock();
    try {
      return dropped;
    } finally {
      lock.unlock();
    }
  }

  /** Begins: the store was at {@code revision} before the first commit that came or will come. */
  void open(long revision) {
    boolean start;
    lock.lock();
    try {
      received = Math.max(received, revision);
      opened = true;
      start = leavesRest();
    } finally {
      lock.unlock();
    }
    startIf(start);
  }

  /** Takes a commit, on the writer's thread. Neither blocks nor throws. */
  void commit(Commit commit) {
    long weight = weight(commit.events());
    boolean start;
    lock.lock();
    try {
      if (closed) {
        return;
      }
      Waiting waiting = new Waiting(commit, weight);
      if (weight < 0 || bytes + weight > maxBytes) {
        waiting = withoutEvents(commit);
      }
      commits.add(waiting);
      bytes += waiting.bytes;
      received = commit.lastRevision();
      start = leavesRest();
    } finally {
      lock.unlock();
    }
    startIf(start);
  }

  void command(Runnable command) {
    boolean start;
    lock.lock();
    try {
      if (closed) {
        return;
      }
      commands.add(command);
      start = leavesRest();
    } finally {
      lock.unlock();
    }
    startIf(start);
  }

  void close() {
    lock.lock();
    try {
      closed = true;
      commands.clear();
      commits.clear();
      bytes = 0;
    } finally {
      lock.unlock();
    }
  }

  @Nullable Runnable nextCommand() {
    lock.lock();
    try {
      return commands.poll();
    } finally {
      lock.unlock();
    }
  }

  @Nullable Commit nextCommit() {
    lock.lock();
    try {
      Waiting waiting = commits.poll();
      if (waiting == null) {
        return null;
      }
      bytes -= waiting.bytes;
      return waiting.commit;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Says that the dispatcher has nothing to do, unless something has come meanwhile.
   *
   * @param forCommits whether it would take commits, too
   * @return whether it may rest: it will be started again
   */
  boolean rest(boolean forCommits) {
    lock.lock();
    try {
      if (!commands.isEmpty() || (forCommits && !commits.isEmpty())) {
        return false;
      }
      running = false;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Whether the caller, who holds the lock, has to start the dispatcher once it has let it go. */
  private boolean leavesRest() {
    boolean start = opened && !running;
    running |= start;
    return start;
  }

  /** Not under the lock: the dispatcher would wake only to wait for it. */
  private void startIf(boolean start) {
    if (start) {
      executor.execute(dispatcher);
    }
  }

  private Waiting withoutEvents(Commit commit) {
    dropped++;
    long first = commit.firstRevision();
    if (!commits.isEmpty() && requireNonNull(commits.peekLast()).commit.events() == null) {
      first = requireNonNull(commits.pollLast()).commit.firstRevision();
    }
    return new Waiting(new Commit(first, commit.lastRevision(), null), 0);
  }

  /** The memory that the events hold; -1 if there are none to be held. */
  private static long weight(@Nullable List<Event> events) {
    if (events == null) {
      return -1;
    }
    long weight = 64;
    try {
      for (Event event : events) {
        weight += event.weight();
      }
    } catch (RuntimeException e) {
      return -1;
    }
    return weight;
  }
}
