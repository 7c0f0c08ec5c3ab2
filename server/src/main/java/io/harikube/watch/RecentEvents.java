package io.harikube.watch;

import io.harikube.store.Event;
import io.harikube.store.EventLog.Page;
import io.harikube.store.KeyRange;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The latest slices that were handed out, without a hole, up to a number of bytes. Watches that are
 * only a little behind (a reconnect, a slow moment) catch up from here instead of from the log.
 *
 * <p>The dispatcher adds; any thread reads. The lock is held to copy references only, never while
 * events are matched.
 */
final class RecentEvents {
  private static final int CHUNK = 64;

  private final long maxBytes;
  private final ReentrantLock lock = new ReentrantLock();
  private @Nullable Slice[] ring = new @Nullable Slice[CHUNK];
  private int head;
  private int size;
  private long bytes;

  RecentEvents(long maxBytes) {
    this.maxBytes = maxBytes;
  }

  void add(Slice slice) {
    lock.lock();
    try {
      if (size > 0 && at(size - 1).last() + 1 != slice.first()) {
        drop(size);
      }
      if (size == ring.length) {
        @Nullable Slice[] larger = new @Nullable Slice[2 * size];
        for (int i = 0; i < size; i++) {
          larger[i] = at(i);
        }
        ring = larger;
        head = 0;
      }
      ring[(head + size++) % ring.length] = slice;
      bytes += weight(slice);
      int tooMany = 0;
      for (long rest = bytes; rest > maxBytes; rest -= weight(at(tooMany++))) {}
      drop(tooMany);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Reads as {@link io.harikube.store.EventLog#read} does.
   *
   * @param maxEvents how many events to look at, at the most, wanted or not
   * @return null if {@code from} is not here (any more); else the events up to {@code through},
   *     which is before {@code to} if one of the limits was reached
   */
  @Nullable Page read(
      KeyRange range, EventView view, long from, long to, int maxBytes, int maxEvents) {
    List<Event> events = new ArrayList<>();
    long through = from - 1;
    long found = 0;
    long seen = 0;
    while (through < to && found < maxBytes && seen < maxEvents) {
      List<Slice> slices = copy(through + 1, to);
      if (slices.isEmpty()) {
        break;
      }
      for (Slice slice : slices) {
        if (found >= maxBytes || seen >= maxEvents) {
          break;
        }
        seen += slice.size();
        for (int i = 0; i < slice.size(); i++) {
          Event event = slice.event(i);
          if (event.revision() >= from && view.wants(event) && range.contains(event.kv().key())) {
            Event seenAs = slice.shown(i, view);
            events.add(seenAs);
            found += seenAs.weight();
          }
        }
        through = slice.last();
      }
    }
    return through < from ? null : new Page(events, through);
  }

  /** Some slices from the one that holds {@code revision} on; none if it is not here. */
  private List<Slice> copy(long revision, long to) {
    lock.lock();
    try {
      int low = 0;
      int high = size;
      while (low < high) {
        int middle = (low + high) >>> 1;
        if (at(middle).last() < revision) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      List<Slice> slices = new ArrayList<>();
      if (low < size && at(low).first() <= revision) {
        for (int i = low; i < size && slices.size() < CHUNK && at(i).last() <= to; i++) {
          slices.add(at(i));
        }
      }
      return slices;
    } finally {
      lock.unlock();
    }
  }

  /** Forgets everything. */
  void clear() {
    lock.lock();
    try {
      drop(size);
    } finally {
      lock.unlock();
    }
  }

  private Slice at(int i) {
    Slice slice = ring[(head + i) % ring.length];
    if (slice == null) {
      throw new IllegalStateException("no slice at " + i + " of " + size);
    }
    return slice;
  }

  private void drop(int count) {
    for (int i = 0; i < count; i++) {
      bytes -= weight(at(0));
      ring[head] = null;
      head = (head + 1) % ring.length;
      size--;
    }
  }

  private static long weight(Slice slice) {
    return 128 + slice.bytes();
  }
}
