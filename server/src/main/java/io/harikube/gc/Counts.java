package io.harikube.gc;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** What the collector has done since it was started. Safe for many threads. */
public final class Counts {

  /** What is counted. */
  public enum What {
    /** Objects looked at, each as often as it was. */
    LOOKED_AT,
    /** Objects deleted, or marked as being deleted. */
    DELETED,
    /** Objects that have lost references to owners, and stay. */
    FREED,
    /** Owners whose deletion has come to its end because their dependents are dealt with. */
    RELEASED,
    /** Objects that were left to kube-controller-manager. */
    HANDED_OVER,
    /** Objects that stay as the kind of an owner is not served. */
    BLOCKED_BY_KIND,
    /** Objects without a namespace that stay as an owner would be in one. */
    BLOCKED_BY_SCOPE,
    /** Objects that stay as they cannot be read, or edited. */
    UNREADABLE,
    /** Tasks that failed and are done again. */
    ERRORS
  }

  private final Map<What, LongAdder> counts = new EnumMap<>(What.class);

  public Counts() {
    for (What what : What.values()) {
      counts.put(what, new LongAdder());
    }
  }

  void add(What what) {
    counter(what).increment();
  }

  public long get(What what) {
    return counter(what).sum();
  }

  private LongAdder counter(What what) {
    return java.util.Objects.requireNonNull(counts.get(what));
  }
}
