package io.harikube.watch;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Groups of watches by range, to be found by a key: a treap in the order of the ranges in which
 * each node knows how far its subtree reaches.
 *
 * <p>Belongs to the dispatcher's thread.
 */
final class IntervalTree {
  private static final Comparator<@Nullable Bytes> ENDS =
      Comparator.nullsLast(Comparator.naturalOrder());
  private static final Comparator<KeyRange> ORDER =
      Comparator.comparing(KeyRange::start).thenComparing(KeyRange::end, ENDS);

  private final SplittableRandom random = new SplittableRandom(1);
  private @Nullable Node root;
  private long work;

  private static final class Node {
    final WatcherGroup group;
    final int priority;
    @Nullable Node left;
    @Nullable Node right;
    @Nullable Bytes reach;

    Node(WatcherGroup group, int priority) {
      this.group = group;
      this.priority = priority;
      this.reach = group.range().end();
    }

    Node refresh() {
      reach = group.range().end();
      if (left != null && ENDS.compare(left.reach, reach) > 0) {
        reach = left.reach;
      }
      if (right != null && ENDS.compare(right.reach, reach) > 0) {
        reach = right.reach;
      }
      return this;
    }
  }

  /** How many nodes {@link #stab} has visited so far. */
  long work() {
    return work;
  }

  @Nullable WatcherGroup find(KeyRange range) {
    Node node = root;
    while (node != null) {
      int order = ORDER.compare(range, node.group.range());
      if (order == 0) {
        return node.group;
      }
      node = order < 0 ? node.left : node.right;
    }
    return null;
  }

  /** Adds a group whose range is not in the tree yet. */
  void add(WatcherGroup group) {
    root = add(root, new Node(group, random.nextInt()));
  }

  void remove(KeyRange range) {
    root = remove(root, range);
  }

  /** Calls {@code found} with each group whose range contains {@code key}. */
  void stab(Bytes key, Consumer<WatcherGroup> found) {
    stab(root, key, found);
  }

  void forEach(Consumer<WatcherGroup> action) {
    forEach(root, action);
  }

  private void stab(@Nullable Node node, Bytes key, Consumer<WatcherGroup> found) {
    if (node == null || (node.reach != null && node.reach.compareTo(key) <= 0)) {
      return;
    }
    work++;
    stab(node.left, key, found);
    if (node.group.range().start().compareTo(key) <= 0) {
      if (node.group.range().contains(key)) {
        found.accept(node.group);
      }
      stab(node.right, key, found);
    }
  }

  private static void forEach(@Nullable Node node, Consumer<WatcherGroup> action) {
    if (node != null) {
      forEach(node.left, action);
      action.accept(node.group);
      forEach(node.right, action);
    }
  }

  private static Node add(@Nullable Node node, Node added) {
    if (node == null) {
      return added;
    }
    if (ORDER.compare(added.group.range(), node.group.range()) < 0) {
      Node left = add(node.left, added);
      node.left = left;
      if (left.priority > node.priority) {
        node.left = left.right;
        left.right = node.refresh();
        return left.refresh();
      }
    } else {
      Node right = add(node.right, added);
      node.right = right;
      if (right.priority > node.priority) {
        node.right = right.left;
        right.left = node.refresh();
        return right.refresh();
      }
    }
    return node.refresh();
  }

  private static @Nullable Node remove(@Nullable Node node, KeyRange range) {
    if (node == null) {
      return null;
    }
    int order = ORDER.compare(range, node.group.range());
    if (order == 0) {
      return merge(node.left, node.right);
    }
    if (order < 0) {
      node.left = remove(node.left, range);
    } else {
      node.right = remove(node.right, range);
    }
    return node.refresh();
  }

  private static @Nullable Node merge(@Nullable Node left, @Nullable Node right) {
    if (left == null) {
      return right;
    }
    if (right == null) {
      return left;
    }
    if (left.priority > right.priority) {
      left.right = merge(left.right, right);
      return left.refresh();
    }
    right.left = merge(left, right.left);
    return right.refresh();
  }
}
