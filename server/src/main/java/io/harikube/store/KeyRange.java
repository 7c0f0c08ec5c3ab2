package io.harikube.store;

import org.jspecify.annotations.Nullable;

/**
 * A half-open range of keys.
 *
 * @param start the first key of the range
 * @param end the first key behind the range, or null if it reaches to the end of the keys
 */
public record KeyRange(Bytes start, @Nullable Bytes end) {
  private static final Bytes ZERO = Bytes.of(new byte[] {0});

  /** The range of this one key. */
  public static KeyRange single(Bytes key) {
    return new KeyRange(key, key.successor());
  }

  /** All keys that start with {@code prefix}. */
  public static KeyRange prefix(Bytes prefix) {
    Bytes end = prefix.prefixEnd();
    return new KeyRange(prefix, end.isEmpty() ? null : end);
  }

  /**
   * The range that {@code key} and {@code range_end} of an etcd request name: no end is the one
   * key, a single zero byte as the end is everything from the key on.
   */
  public static KeyRange ofRequest(Bytes key, Bytes rangeEnd) {
    if (rangeEnd.isEmpty()) {
      return single(key);
    }
    return new KeyRange(key, rangeEnd.equals(ZERO) ? null : rangeEnd);
  }

  /** Whether the range is of exactly one key. */
  public boolean isSingle() {
    return end != null
        && end.size() == start.size() + 1
        && end.array()[start.size()] == 0
        && end.startsWith(start);
  }

  /** Whether no key can be in the range. */
  public boolean isEmpty() {
    return end != null && end.compareTo(start) <= 0;
  }

  public boolean contains(Bytes key) {
    return key.compareTo(start) >= 0 && (end == null || key.compareTo(end) < 0);
  }

  /** What is in both ranges; empty if nothing is. */
  public KeyRange intersect(KeyRange other) {
    Bytes first = start.compareTo(other.start) >= 0 ? start : other.start;
    boolean mine = other.end == null || (end != null && end.compareTo(other.end) <= 0);
    return new KeyRange(first, mine ? end : other.end);
  }

  /** The part of this range from {@code key} on. */
  public KeyRange from(Bytes key) {
    return new KeyRange(key, end);
  }
}
