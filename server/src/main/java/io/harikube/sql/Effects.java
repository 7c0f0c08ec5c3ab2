package io.harikube.sql;

import io.harikube.store.StoreMetrics;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What follows a batch once it has been committed, or has changed nothing. A batch that comes to
 * nothing is followed by nothing, and so is a job of it that was refused.
 */
final class Effects {
  private final Map<StoreMetrics.Count, Long> counts = new EnumMap<>(StoreMetrics.Count.class);
  private final List<Runnable> effects = new ArrayList<>();

  /** Those of the last job. */
  private final Map<StoreMetrics.Count, Long> jobCounts = new EnumMap<>(StoreMetrics.Count.class);

  private int effectsBefore;

  void count(StoreMetrics.Count what, long times) {
    jobCounts.merge(what, times, Long::sum);
  }

  void add(Runnable effect) {
    effects.add(effect);
  }

  /** A job begins; see {@link #forgetJob}. */
  void beginJob() {
    endJob();
    effectsBefore = effects.size();
  }

  private void endJob() {
    jobCounts.forEach((what, times) -> counts.merge(what, times, Long::sum));
    jobCounts.clear();
  }

  /** Forgets what was to follow the last job. */
  void forgetJob() {
    jobCounts.clear();
    effects.subList(effectsBefore, effects.size()).clear();
  }

  /** Does everything. */
  void run(StoreMetrics metrics) {
    endJob();
    counts.forEach(metrics::count);
    effects.forEach(Runnable::run);
  }
}
