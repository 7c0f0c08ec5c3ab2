package io.harikube.ops;

import io.harikube.store.Identity;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Status;
import io.harikube.store.Store;
import io.harikube.store.Tasks;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Reads the metrics that are states of the store. What costs a question to the database or to its
 * file system is asked once for each scrape, and has a deadline: afterwards the answer of before
 * stands, so that {@code /metrics} answers also when the database does not.
 */
final class StoreGauges {
  private static final Duration DEADLINE = Duration.ofSeconds(1);

  private final Question<Answer> question;
  private final Question<Backlog> tasks;
  private volatile @Nullable Answer last;
  private volatile boolean answered;

  /** Null if the database has not said just now: an old number of tasks says nothing. */
  private volatile @Nullable Backlog backlog;

  /**
   * @param room bytes that the database can grow by
   */
  private record Answer(Status status, double room) {}

  /** How many tasks there are that are to be done, and that wait for something. */
  private record Backlog(long ready, long waiting) {}

  private StoreGauges(Store store, @Nullable Path file) {
    this.question =
        new Question<>("metrics", DEADLINE, () -> new Answer(store.status(), room(file)));
    this.tasks = new Question<>("metrics-tasks", DEADLINE, () -> backlog(store.tasks()));
  }

  /**
   * @param file the database file; null if the database is not one
   */
  static void register(
      Metrics metrics, Store store, @Nullable Path file, long quotaBytes, MemoryBudget budget) {
    StoreGauges gauges = new StoreGauges(store, file);
    Identity identity = store.identity();
    metrics.gauge(Metric.SERVER_ID, Long.toHexString(identity.memberId())).set(1);
    metrics.beforeScrape(gauges::ask);
    metrics.level(Metric.HAS_LEADER, () -> gauges.answered ? 1 : 0);
    metrics.level(Metric.IS_LEADER, () -> gauges.answered ? 1 : 0);
    metrics.level(Metric.LEADER_CHANGES, () -> 1 + store.identity().term() - identity.term());
    metrics.level(Metric.CURRENT_REVISION, store::revision);
    metrics.level(Metric.COMPACT_REVISION, () -> gauges.last(Status::compactedRevision));
    metrics.level(Metric.DB_SIZE, () -> gauges.last(Status::size));
    metrics.level(Metric.DB_SIZE_IN_USE, () -> gauges.last(Status::sizeInUse));
    metrics.level(Metric.PROPOSALS_COMMITTED, () -> gauges.last(Status::commits));
    metrics.level(Metric.PROPOSALS_APPLIED, () -> gauges.last(Status::commits));
    metrics.level(Metric.QUOTA, () -> quotaBytes > 0 ? quotaBytes : gauges.quota());
    metrics.level(Metric.GC_READY, () -> gauges.tasks(Backlog::ready));
    metrics.level(Metric.GC_WAITING, () -> gauges.tasks(Backlog::waiting));
    metrics.level(Metric.ANSWERS_USED, budget::used);
    metrics.level(Metric.ANSWERS_CAPACITY, budget::capacity);
    metrics.level(Metric.ANSWERS_WAITING, budget::waiting);
  }

  private void ask() {
    Answer answer = answer(question);
    answered = answer != null;
    if (answer != null) {
      last = answer;
    }
    backlog = answer(tasks);
  }

  /** Null if there is none: the health checks say what is wrong. */
  private static <T> @Nullable T answer(Question<T> question) {
    try {
      return question.ask();
    } catch (ExecutionException | TimeoutException e) {
      return null;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return null;
    }
  }

  private static Backlog backlog(Tasks tasks) {
    return new Backlog(tasks.count(false), tasks.count(true));
  }

  private double tasks(ToDoubleFunction<Backlog> part) {
    Backlog known = backlog;
    return known == null ? Double.NaN : part.applyAsDouble(known);
  }

  private double last(ToDoubleFunction<Status> part) {
    Answer answer = last;
    return answer == null ? Double.NaN : part.applyAsDouble(answer.status);
  }

  /** How large the database can become: what etcd's alerts compare its size with. */
  private double quota() {
    Answer answer = last;
    return answer == null ? Double.NaN : answer.status.size() + answer.room;
  }

  private static double room(@Nullable Path file) {
    if (file == null) {
      return Long.MAX_VALUE;
    }
    try {
      return Files.getFileStore(file).getUsableSpace();
    } catch (IOException e) {
      return Double.NaN;
    }
  }
}
