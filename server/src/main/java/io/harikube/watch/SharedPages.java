package io.harikube.watch;

import io.harikube.store.Event;
import io.harikube.store.EventLog.Page;
import io.harikube.store.KeyRange;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The last few pages that were read from the log: watches with the same range tend to fall behind
 * together, and to need the same pages one after the other.
 *
 * <p>What the log says of a revision never changes, so that a page stays true. Safe for use by
 * several threads.
 */
final class SharedPages {
  private static final int PAGES = 16;

  private final int maxBytes;
  private final long allBytes;
  private final ReentrantLock lock = new ReentrantLock();
  private final ArrayDeque<Shared> pages = new ArrayDeque<>();

  private long bytes;

  private record Shared(KeyRange range, boolean previous, long from, Page page, long bytes) {
    boolean has(KeyRange wanted, boolean withPrevious, long revision) {
      return revision >= from
          && revision <= page.through()
          && previous == withPrevious
          && range.equals(wanted);
    }
  }

  /**
   * @param maxBytes the largest page that is kept
   * @param allBytes how much all of them may take together
   */
  SharedPages(int maxBytes, long allBytes) {
    this.maxBytes = maxBytes;
    this.allBytes = Math.max(maxBytes, allBytes);
  }

  /** Keeps a page that begins at revision {@code from}, instead of the oldest one. */
  void add(KeyRange range, boolean previous, long from, Page page) {
    long size = weight(page.events());
    if (size > maxBytes) {
      return;
    }
    lock.lock();
    try {
      pages.add(new Shared(range, previous, from, page, size));
      bytes += size;
      while (pages.size() > PAGES || bytes > allBytes) {
        bytes -= pages.remove().bytes;
      }
    } finally {
      lock.unlock();
    }
  }

  private static long weight(List<Event> events) {
    try {
      return Batch.of(events).bytes();
    } catch (RuntimeException e) {
      // It cannot be weighed: the watch that it was read for will fail on it, and be ended.
      return Long.MAX_VALUE;
    }
  }

  /** A page with the events from revision {@code from} on, if there is one. */
  @Nullable Page find(KeyRange range, boolean previous, long from) {
    Shared found = null;
    lock.lock();
    try {
      for (Shared shared : pages) {
        if (shared.has(range, previous, from)) {
          found = shared;
        }
      }
    } finally {
      lock.unlock();
    }
    if (found == null) {
      return null;
    }
    List<Event> events = found.page.events();
    int start = 0;
    while (start < events.size() && events.get(start).revision() < from) {
      start++;
    }
    return new Page(events.subList(start, events.size()), found.page.through());
  }
}
