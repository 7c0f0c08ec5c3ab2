package io.harikube.sql;

import io.harikube.store.MemoryBudget;

/** Shares for reads that are bounded by their own limit. */
final class Unlimited {
  private Unlimited() {}

  static MemoryBudget.Share share() {
    return new MemoryBudget(Long.MAX_VALUE).open();
  }
}
