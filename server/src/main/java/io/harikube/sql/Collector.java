package io.harikube.sql;

import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import java.util.ArrayList;
import java.util.List;

/** Gathers the keys of an answer and counts them against its share of the memory budget. */
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
  private final List<KeyValue> kvs = new ArrayList<>();
  private long bytes;
  private long pageEnd = Long.MAX_VALUE;

  /**
   * @param base what the answer has counted against its share already, in bytes
   */
  Collector(MemoryBudget.Share share, long base) {
    this.share = share;
    this.bytes = base;
  }

  void add(KeyValue kv) {
    bytes += kv.weight();
    if (bytes > share.held() && !share.tryGrow(bytes + STEP) && !share.tryGrow(bytes)) {
      throw new Overflow(bytes, bytes > share.capacity());
    }
    kvs.add(kv);
  }

  /** Begins a page, which is full with this many bytes. */
  void page(long pageBytes) {
    pageEnd = bytes + pageBytes;
  }

  /** Whether the page has the bytes that it may have; a reader stops then. */
  boolean isFull() {
    return bytes >= pageEnd;
  }

  /** An empty collector for the next part of the same answer. */
  Collector next() {
    return new Collector(share, 0);
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

  void removeLast() {
    kvs.removeLast();
  }

  /** Takes all keys away again that came after {@code size} keys of {@code oldBytes}. */
  void cutTo(int size, long oldBytes) {
    kvs.subList(size, kvs.size()).clear();
    bytes = oldBytes;
  }

  /** Takes keys that are more than {@code limit} away again; answers whether there were any. */
  boolean cut(long limit) {
    if (limit <= 0 || kvs.size() <= limit) {
      return false;
    }
    kvs.subList((int) limit, kvs.size()).clear();
    return true;
  }

  List<KeyValue> kvs() {
    return kvs;
  }
}
