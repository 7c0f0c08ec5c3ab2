package io.harikube.gc;

import io.harikube.store.Bytes;
import io.harikube.store.Task;
import org.jspecify.annotations.Nullable;

/**
 * What a task is about.
 *
 * @param hidden whether the owner is, whose dependents are looked at: of one that is not, only
 *     those that are hidden are ours
 */
record Work(Kind kind, boolean hidden) {
  private static final String HIDDEN = "/hidden";

  /** What is to be done. */
  enum Kind {
    /** An owner is gone: its dependents are looked at. */
    GONE,
    /** An owner is gone, or will be, that has set its dependents free, or was to. */
    GONE_ORPHANING,
    /** An owner goes when its dependents have been set free. */
    ORPHAN,
    /** An owner goes when its dependents have gone. */
    FOREGROUND,
    /** The same, and its dependents have been looked at: what is left is waited for. */
    FOREGROUND_WAIT,
    /** An object may have lost an owner. */
    LOOK
  }

  /** Null if it is of a kind that is not known: of a version to come. */
  static @Nullable Work of(Task task) {
    boolean hidden = task.kind().endsWith(HIDDEN);
    String name =
        hidden ? task.kind().substring(0, task.kind().length() - HIDDEN.length()) : task.kind();
    for (Kind kind : Kind.values()) {
      if (kind.name().equals(name)) {
        return new Work(kind, hidden);
      }
    }
    return null;
  }

  /** Whether dependents of the subject are being set free. */
  boolean isOrphaning() {
    return kind == Kind.ORPHAN || kind == Kind.GONE_ORPHANING;
  }

  Task task(String uid, Bytes key) {
    return Task.of(text(), uid, key);
  }

  String text() {
    return hidden ? kind + HIDDEN : kind.toString();
  }
}
