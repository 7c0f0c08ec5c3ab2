package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;

/**
 * Gathers the keys of an answer, or of a page of it, and counts them against its share of the
 * memory budget, also values that are still to be read. Whoever reads again after a failure does so
 * into a new collector: a share that has grown for the first one has grown for the second.
 */
final class Collector {
  private static final long STEP = 64 << 10;

  /** Says that the answer has outgrown its share; not an error, so it carries no stack trace. */
  static final class Overflow extends RuntimeException {
    private static final long serialVersionUID = 1;
    final long bytes;
    final boolean never;

    /**
     * @param bytes what the answer needs at least
     * @param never whether it can never have that
     */
    Overflow(long bytes, boolean never) {
      super(null, null, false, false);
      this.never = never;
      this.bytes = bytes;
    }
  }

  private final MemoryBudget.Share share;
  private final long most;
  private final List<KeyValue> kvs = new ArrayList<>();
  private final List<Values.Later> later = new ArrayList<>();
  private long bytes;
  private long pageEnd = Long.MAX_VALUE;
  private boolean more;

  /**
   * @param base what the answer has counted against its share already, in bytes
   */
  Collector(MemoryBudget.Share share, long base) {
    this(share, base, Long.MAX_VALUE);
  }

  /**
   * @param most how many keys it takes
   */
  Collector(MemoryBudget.Share share, long base, long most) {
    this.share = share;
    this.bytes = base;
    this.most = most;
  }

  void add(KeyValue kv) {
    count(kv.weight());
    kvs.add(kv);
  }

  /** Adds a key whose value is still to be read; it is counted already. */
  void add(KeyValue kv, long id, int size) {
    count(kv.weight() + (long) size);
    later.add(new Values.Later(kvs.size(), id, size));
    kvs.add(kv);
  }

  private void count(long weight) {
    bytes += weight;
    if (bytes > share.held() && !share.tryGrow(bytes + STEP) && !share.tryGrow(bytes)) {
      throw new Overflow(bytes, bytes > share.capacity());
    }
  }

  /** Begins a page, which is full with this many bytes. */
  void page(long pageBytes) {
    pageEnd = bytes + pageBytes;
  }

  /** Whether the page has the bytes that it may have; a reader stops then. */
  boolean isFull() {
    return bytes >= pageEnd;
  }

  /** Whether the next key is taken; if not there are more than it may have, and a reader stops. */
  boolean takes() {
    more |= kvs.size() >= most;
    return !more;
  }

  /** Whether there were more keys than it takes. */
  boolean more() {
    return more;
  }

  /** The values that are to be read next, together; none if all are there. */
  List<Values.Later> missing() {
    return List.copyOf(later.subList(0, Values.group(later)));
  }

  /** Takes the values of {@link #missing}. */
  void fill(List<Values.Later> group, Map<Long, Bytes> values) {
    for (Values.Later value : group) {
      KeyValue kv = kvs.get(value.place());
      kvs.set(value.place(), kv.withValue(Objects.requireNonNull(values.get(value.id()))));
    }
    later.subList(0, group.size()).clear();
  }

  /** Reads all values that are still to be read. */
  void fill(Session session) throws SQLException {
    for (List<Values.Later> group = missing(); !group.isEmpty(); group = missing()) {
      fill(group, Values.read(session, group));
    }
  }

  /**
   * Leaves out what does not match, and what is more than so many keys.
   *
   * @param keysOnly whether values are for matching alone
   */
  void retain(Predicate<KeyValue> matching, long atMost, boolean keysOnly) {
    List<KeyValue> kept = new ArrayList<>();
    for (KeyValue kv : kvs) {
      boolean wanted = matching.test(kv);
      more |= wanted && kept.size() >= atMost;
      if (!wanted || more) {
        bytes -= kv.weight();
      } else if (keysOnly) {
        KeyValue key = kv.withValue(Bytes.EMPTY);
        bytes += key.weight() - kv.weight();
        kept.add(key);
      } else {
        kept.add(kv);
      }
    }
    kvs.clear();
    kvs.addAll(kept);
  }

  int size() {
    return kvs.size();
  }

  long bytes() {
    return bytes;
  }

  KeyValue last() {
    return kvs.getLast();
  }

  List<KeyValue> kvs() {
    return kvs;
  }
}
