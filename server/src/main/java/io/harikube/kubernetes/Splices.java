package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Changes to a byte string, collected in any order and made all at once. Places are those of the
 * bytes as they were; changes must not overlap. What is inserted at one place stays in the order in
 * which it came, and before what is replaced from there on.
 */
final class Splices {
  private final byte[] original;
  private final List<Splice> splices = new ArrayList<>();
  private int growth;

  Splices(byte[] original) {
    this.original = original;
  }

  private record Splice(int from, int to, Bytes bytes) {}

  void replace(int from, int to, Bytes bytes) {
    splices.add(new Splice(from, to, bytes));
    growth = Math.addExact(growth, bytes.size() - (to - from));
  }

  void insert(int at, Bytes bytes) {
    replace(at, at, bytes);
  }

  void cut(int from, int to) {
    replace(from, to, Bytes.EMPTY);
  }

  boolean isEmpty() {
    return splices.isEmpty();
  }

  /** By how many bytes all changes together make the whole longer; negative for shorter. */
  int growth() {
    return growth;
  }

  /**
   * The bytes with all changes.
   *
   * @throws IndexOutOfBoundsException if changes overlap
   */
  byte[] apply() {
    splices.sort(Comparator.comparingInt(Splice::from).thenComparingInt(Splice::to));
    byte[] result = new byte[Math.addExact(original.length, growth)];
    int from = 0;
    int to = 0;
    for (Splice splice : splices) {
      int length = splice.from - from;
      System.arraycopy(original, from, result, to, length);
      System.arraycopy(splice.bytes.array(), 0, result, to + length, splice.bytes.size());
      to += length + splice.bytes.size();
      from = splice.to;
    }
    System.arraycopy(original, from, result, to, original.length - from);
    return result;
  }
}
