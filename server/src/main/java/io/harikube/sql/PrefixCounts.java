package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Knows how many keys begin with prefixes that somebody has asked for and that end with a slash, as
 * those of the resources of Kubernetes do. The first to ask counts in the database; from then on
 * the writer tells of every key that comes and goes.
 *
 * <p>The writer tells of a revision before it is committed, so that nobody sees a revision in the
 * database that is not known here; a revision that does not get committed is not asked for.
 *
 * <p>In memory and not in the database, where each creation of an object would change a row more
 * and the row of a resource would be the same for all of them. The price is one count per prefix
 * after a start.
 */
final class PrefixCounts {
  private static final int CAPACITY = 256;

  /** The least recently asked for comes first. */
  private final Map<Bytes, Counter> counters = new LinkedHashMap<>();

  private long told;

  /**
   * @param revision the current one
   */
  PrefixCounts(long revision) {
    this.told = revision;
  }

  /** What is known of the number of keys below one prefix. */
  private static final class Counter {
    private static final int MAX_CHANGES = 1024;

    /** From this revision on every change is in {@link #sums}, or came before those that are. */
    private long since;

    private long[] revisions = new long[8];

    /** The keys that have come less those that have gone, up to each of {@link #revisions}. */
    private long[] sums = new long[8];

    private int size;
    private long sumBefore;
    private @Nullable Long offset;

    Counter(long since) {
      this.since = since;
    }

    void add(long revision, int difference) {
      long sum = sumAt(Long.MAX_VALUE) + difference;
      if (size > 0 && revisions[size - 1] == revision) {
        sums[size - 1] = sum;
        return;
      }
      if (size == MAX_CHANGES) {
        forget(MAX_CHANGES / 2);
      } else if (size == revisions.length) {
        revisions = Arrays.copyOf(revisions, 2 * size);
        sums = Arrays.copyOf(sums, 2 * size);
      }
      revisions[size] = revision;
      sums[size++] = sum;
    }

    private void forget(int oldest) {
      since = revisions[oldest - 1];
      sumBefore = sums[oldest - 1];
      size -= oldest;
      System.arraycopy(revisions, oldest, revisions, 0, size);
      System.arraycopy(sums, oldest, sums, 0, size);
    }

    long sumAt(long revision) {
      int found = Arrays.binarySearch(revisions, 0, size, revision);
      int last = found >= 0 ? found : -found - 2;
      return last < 0 ? sumBefore : sums[last];
    }
  }

  /**
   * The number of keys in the range at a revision, if it is known. A range that can be counted is
   * counted from now on.
   */
  synchronized @Nullable Long get(KeyRange range, long revision) {
    if (!countable(range)) {
      return null;
    }
    Counter counter = counters.remove(range.start());
    if (counter == null) {
      counter = new Counter(told);
      if (counters.size() == CAPACITY) {
        counters.remove(counters.keySet().iterator().next());
      }
    }
    counters.put(range.start(), counter);
    Long offset = counter.offset;
    return offset != null && counter.since <= revision && revision <= told
        ? Long.valueOf(offset + counter.sumAt(revision))
        : null;
  }

  /** Takes what was counted in the database. */
  synchronized void counted(KeyRange range, long revision, long count) {
    Counter counter = countable(range) ? counters.get(range.start()) : null;
    if (counter != null && counter.since <= revision && revision <= told) {
      counter.offset = count - counter.sumAt(revision);
    }
  }

  private static boolean countable(KeyRange range) {
    byte[] start = range.start().array();
    return start.length > 0
        && start[start.length - 1] == '/'
        && range.equals(KeyRange.prefix(range.start()));
  }

  /**
   * Takes the changes up to a revision, which is about to be committed.
   *
   * @param events null if they are too many to keep
   */
  synchronized void committing(@Nullable List<Event> events, long revision) {
    if (events == null) {
      counters.clear();
    } else if (!counters.isEmpty()) {
      events.forEach(this::add);
    }
    told = revision;
  }

  private void add(Event event) {
    int difference = event.isDelete() ? -1 : event.kv().version() == 1 ? 1 : 0;
    if (difference == 0) {
      return;
    }
    Bytes key = event.kv().key();
    for (int i = 0; i < key.size(); i++) {
      if (key.array()[i] == '/') {
        Counter counter = counters.get(key.prefix(i + 1));
        if (counter != null) {
          counter.add(event.revision(), difference);
        }
      }
    }
  }

  /** Forgets everything: it is not certain what has become of a commit. */
  synchronized void clear(long revision) {
    counters.clear();
    told = revision;
  }
}
