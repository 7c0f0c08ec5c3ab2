package io.harikube.watch;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Finds the live watches that want a key.
 *
 * <p>Ranges of one key and ranges of a prefix, which is nearly all there are, lie in a hash table;
 * a key is looked up once as itself, and once for each distinct length of a prefix. Other ranges
 * lie in an interval tree. So an event costs the groups that it concerns and the number of distinct
 * lengths, not the number of watches.
 *
 * <p>Belongs to the dispatcher's thread.
 */
final class WatcherIndex {
  private final Map<Bytes, WatcherGroup> keys = new HashMap<>();
  private final Map<Prefix, WatcherGroup> prefixes = new HashMap<>();
  private final NavigableMap<Integer, Integer> prefixesOfLength = new TreeMap<>();
  private final IntervalTree others = new IntervalTree();
  private final Prefix probe = new Prefix();
  private int[] lengths = {};
  private int groups;
  private long work;

  boolean isEmpty() {
    return groups == 0;
  }

  /** How many steps {@link #match} has taken so far. */
  long work() {
    return work + others.work();
  }

  void add(Watcher watcher) {
    KeyRange range = watcher.request.range();
    WatcherGroup group = find(range);
    if (group == null) {
      group = new WatcherGroup(range);
      insert(group);
    }
    group.add(watcher);
    watcher.group = group;
  }

  void remove(Watcher watcher) {
    WatcherGroup group = watcher.group;
    if (group != null) {
      watcher.group = null;
      group.remove(watcher);
      removeIfEmpty(group);
    }
  }

  /** Calls {@code found} with each group that wants {@code key}. */
  void match(Bytes key, Consumer<WatcherGroup> found) {
    work++;
    WatcherGroup exact = keys.get(key);
    if (exact != null) {
      found.accept(exact);
    }
    byte[] array = key.array();
    int hash = 0;
    int hashed = 0;
    for (int length : lengths) {
      if (length > array.length) {
        break;
      }
      work++;
      while (hashed < length) {
        hash = Prefix.hash(hash, array[hashed++]);
      }
      WatcherGroup group = prefixes.get(probe.set(array, length, hash));
      if (group != null) {
        found.accept(group);
      }
    }
    others.stab(key, found);
  }

  /** All groups, to be removed or changed by the caller. */
  List<WatcherGroup> groups() {
    List<WatcherGroup> all = new ArrayList<>(keys.values());
    all.addAll(prefixes.values());
    others.forEach(all::add);
    return all;
  }

  void removeIfEmpty(WatcherGroup group) {
    KeyRange range = group.range();
    if (!group.isEmpty() || find(range) != group) {
      return;
    }
    groups--;
    if (range.isSingle()) {
      keys.remove(range.start());
    } else if (isPrefix(range)) {
      prefixes.remove(Prefix.of(range.start()));
      prefixesOfLength.merge(range.start().size(), -1, (a, b) -> a + b == 0 ? null : a + b);
      setLengths();
    } else {
      others.remove(range);
    }
  }

  private @Nullable WatcherGroup find(KeyRange range) {
    if (range.isSingle()) {
      return keys.get(range.start());
    }
    return isPrefix(range) ? prefixes.get(Prefix.of(range.start())) : others.find(range);
  }

  private void insert(WatcherGroup group) {
    KeyRange range = group.range();
    groups++;
    if (range.isSingle()) {
      keys.put(range.start(), group);
    } else if (isPrefix(range)) {
      prefixes.put(Prefix.of(range.start()), group);
      prefixesOfLength.merge(range.start().size(), 1, Integer::sum);
      setLengths();
    } else {
      others.add(group);
    }
  }

  private void setLengths() {
    if (lengths.length != prefixesOfLength.size()) {
      lengths = prefixesOfLength.keySet().stream().mapToInt(Integer::intValue).toArray();
    }
  }

  private static boolean isPrefix(KeyRange range) {
    return range.equals(KeyRange.prefix(range.start()));
  }

  /** The first bytes of an array, with their hash; made to be looked up without a copy. */
  private static final class Prefix {
    private byte[] array = {};
    private int length;
    private int hash;

    static Prefix of(Bytes bytes) {
      int hash = 0;
      for (byte b : bytes.array()) {
        hash = hash(hash, b);
      }
      return new Prefix().set(bytes.array(), bytes.size(), hash);
    }

    static int hash(int hash, byte next) {
      return 31 * hash + next;
    }

    Prefix set(byte[] newArray, int newLength, int newHash) {
      array = newArray;
      length = newLength;
      hash = newHash;
      return this;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Prefix prefix
          && hash == prefix.hash
          && Arrays.equals(array, 0, length, prefix.array, 0, prefix.length);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }
}
