package io.harikube.store;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * An immutable byte string: a key or a value. Ordered byte by byte, unsigned, as etcd orders keys.
 *
 * <p>The array is not copied on the way in or out: whoever hands one over must not change it again.
 */
public final class Bytes implements Comparable<Bytes> {
  public static final Bytes EMPTY = new Bytes(new byte[0]);

  private final byte[] array;
  private int hash;

  private Bytes(byte[] array) {
    this.array = array;
  }

  /** Wraps {@code array}, which nobody changes from here on. */
  public static Bytes of(byte[] array) {
    return array.length == 0 ? EMPTY : new Bytes(array);
  }

  public static Bytes of(String text) {
    return of(text.getBytes(StandardCharsets.UTF_8));
  }

  /** The bytes themselves, to be read only. */
  public byte[] array() {
    return array;
  }

  public int size() {
    return array.length;
  }

  public boolean isEmpty() {
    return array.length == 0;
  }

  public boolean startsWith(Bytes prefix) {
    return array.length >= prefix.array.length
        && Arrays.equals(array, 0, prefix.array.length, prefix.array, 0, prefix.array.length);
  }

  public boolean endsWith(Bytes suffix) {
    int from = array.length - suffix.array.length;
    return from >= 0
        && Arrays.equals(array, from, array.length, suffix.array, 0, suffix.array.length);
  }

  /** The first {@code length} bytes. */
  public Bytes prefix(int length) {
    return length == array.length ? this : of(Arrays.copyOf(array, length));
  }

  /** The smallest byte string that is greater than this one: this one and a zero byte. */
  public Bytes successor() {
    return new Bytes(Arrays.copyOf(array, array.length + 1));
  }

  /**
   * The end of the range of all keys with this prefix; empty if there is none, because the prefix
   * is empty or all 0xff: such a range reaches to the end of the keys.
   */
  public Bytes prefixEnd() {
    for (int i = array.length - 1; i >= 0; i--) {
      if (array[i] != (byte) 0xff) {
        byte[] end = Arrays.copyOf(array, i + 1);
        end[i]++;
        return new Bytes(end);
      }
    }
    return EMPTY;
  }

  @Override
  public int compareTo(Bytes other) {
    return Arrays.compareUnsigned(array, other.array);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Bytes bytes && Arrays.equals(array, bytes.array);
  }

  @Override
  public int hashCode() {
    if (hash == 0) {
      hash = Arrays.hashCode(array);
    }
    return hash;
  }

  /** The bytes as UTF-8 text, for messages. */
  @Override
  public String toString() {
    return new String(array, StandardCharsets.UTF_8);
  }
}
