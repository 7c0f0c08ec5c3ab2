package io.harikube.sql;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the writer has taken from its queue, in the order and the portions in which it is done. */
final class Rounds {
  /** What the values that one commit writes may weigh, unless it is those of a single job. */
  private static final long MOST_BYTES = 16 << 20;

  private final ArrayDeque<Round> rounds = new ArrayDeque<>();

  /**
   * Jobs that are to be done in one batch.
   *
   * @param losses how often they have cost the connection
   */
  record Round(List<Job<?>> jobs, int losses) {}

  /** Adds jobs, in rounds with values of a bounded weight; no jobs make a round without jobs. */
  void add(List<Job<?>> jobs) {
    int from = 0;
    long bytes = 0;
    for (int i = 0; i < jobs.size(); i++) {
      bytes += jobs.get(i).bytes();
      if (bytes > MOST_BYTES && i > from) {
        rounds.add(new Round(jobs.subList(from, i), 0));
        from = i;
        bytes = jobs.get(i).bytes();
      }
    }
    rounds.add(new Round(jobs.subList(from, jobs.size()), 0));
  }

  /** The next round; null if there is none. */
  @Nullable Round poll() {
    return rounds.poll();
  }

  /** Lets jobs be done next. */
  void again(List<Job<?>> jobs, int losses) {
    if (!jobs.isEmpty()) {
      rounds.addFirst(new Round(jobs, losses));
    }
  }

  /** Lets the round be done next, but for one of its jobs. */
  void without(Round round, Job<?> job) {
    List<Job<?>> rest = new ArrayList<>(round.jobs);
    rest.remove(job);
    again(rest, round.losses);
  }

  /** Lets each job be done next, alone. */
  void oneByOne(List<Job<?>> jobs) {
    jobs.reversed().forEach(job -> again(List.of(job), 0));
  }

  /** Takes all jobs out. */
  List<Job<?>> clear() {
    List<Job<?>> jobs = new ArrayList<>();
    rounds.forEach(round -> jobs.addAll(round.jobs));
    rounds.clear();
    return jobs;
  }
}
