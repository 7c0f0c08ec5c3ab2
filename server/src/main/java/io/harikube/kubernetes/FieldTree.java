package io.harikube.kubernetes;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The places in an object where values are picked up, as a tree: JSON names and protobuf numbers
 * side by side, because the two forms of an object have the same shape. Not changed after it has
 * been built.
 *
 * <p>What is picked up goes into an array with a slot for each place: null, a string, a map of
 * strings for {@link Form#LABELS}, or {@link Invalid}.
 */
final class FieldTree {
  /** A value of another form than the place asks for. */
  enum Invalid {
    INVALID
  }

  /** Ends a name in a path if only the first element of the list is meant. */
  private static final String FIRST = "[0]";

  private static final int NO_SLOT = -1;

  private final Map<String, FieldTree> byName = new HashMap<>();
  private @Nullable FieldTree[] byNumber = new FieldTree[0];
  private int slot = NO_SLOT;
  private Form form = Form.STRING;
  private boolean list;

  /** Adds a place. The numbers are those of the names; custom resources have none. */
  void add(String path, int[] numbers, Form leafForm, int leafSlot) {
    FieldTree node = this;
    String[] names = path.split("\\.", -1);
    for (int i = 0; i < names.length; i++) {
      boolean first = names[i].endsWith(FIRST);
      String name = first ? names[i].substring(0, names[i].length() - FIRST.length()) : names[i];
      FieldTree parent = node;
      node = parent.byName.computeIfAbsent(name, n -> new FieldTree());
      node.list = first;
      if (i < numbers.length) {
        parent.number(numbers[i], node);
      }
    }
    node.slot = leafSlot;
    node.form = leafForm;
  }

  private void number(int number, FieldTree child) {
    if (number >= byNumber.length) {
      byNumber = Arrays.copyOf(byNumber, number + 1);
    }
    byNumber[number] = child;
  }

  @Nullable FieldTree child(String name) {
    return byName.get(name);
  }

  @Nullable FieldTree child(int number) {
    return number < byNumber.length ? byNumber[number] : null;
  }

  /** Whether a value is picked up here; otherwise there are places below. */
  boolean isLeaf() {
    return slot != NO_SLOT;
  }

  /** Whether this is a list of which the first element counts. */
  boolean isList() {
    return list;
  }

  int slot() {
    return slot;
  }

  Form form() {
    return form;
  }

  /** Whether nothing has been picked up here and below. */
  boolean isEmpty(@Nullable Object[] values) {
    if (isLeaf()) {
      return values[slot] == null;
    }
    for (FieldTree child : byName.values()) {
      if (!child.isEmpty(values)) {
        return false;
      }
    }
    return true;
  }

  /** Forgets what has been picked up here and below. */
  void clear(@Nullable Object[] values) {
    if (isLeaf()) {
      values[slot] = null;
    }
    for (FieldTree child : byName.values()) {
      child.clear(values);
    }
  }
}
