package io.harikube.ops;

import io.harikube.store.Identity;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Status;
import io.harikube.store.Store;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Reads the metrics that are states of the store. Sizes cost a question to the database: one
 * question serves all metrics of one scrape, and one that gets no answer in time is let go, so that
 * {@code /metrics} answers also when the database does not.
 */
final class StoreGauges {
  private static final Duration FRESH = Duration.ofSeconds(5);
  private static final Duration DEADLINE = Duration.ofSeconds(2);

  private final Store store;
  private final InstantSource clock;
  private final long firstTerm;
  private @Nullable Status last;
  private boolean answered;
  private long askedAt;

  private StoreGauges(Store store, InstantSource clock) {
    this.store = store;
    this.clock = clock;
    this.firstTerm = store.identity().term();
    this.askedAt = clock.millis() - FRESH.toMillis();
  }

  static void register(
      Metrics metrics,
      Store store,
      @Nullable Path file,
      long quotaBytes,
      MemoryBudget budget,
      InstantSource clock) {
    StoreGauges gauges = new StoreGauges(store, clock);
    Identity identity = store.identity();
    metrics.gauge(Metric.SERVER_ID, Long.toHexString(identity.memberId())).set(1);
    metrics.beforeScrape(gauges::forget);
    metrics.level(Metric.HAS_LEADER, () -> gauges.answers() ? 1 : 0);
    metrics.level(Metric.IS_LEADER, () -> gauges.answers() ? 1 : 0);
    metrics.level(Metric.LEADER_CHANGES, () -> 1 + store.identity().term() - gauges.firstTerm);
    metrics.level(Metric.CURRENT_REVISION, store::revision);
    metrics.level(Metric.COMPACT_REVISION, () -> store.log().compactedRevision());
    metrics.level(Metric.DB_SIZE, () -> gauges.status(Status::size));
    metrics.level(Metric.DB_SIZE_IN_USE, () -> gauges.status(Status::sizeInUse));
    metrics.level(Metric.PROPOSALS_COMMITTED, () -> gauges.status(Status::commits));
    metrics.level(Metric.PROPOSALS_APPLIED, () -> gauges.status(Status::commits));
    metrics.level(Metric.QUOTA, () -> quotaBytes > 0 ? quotaBytes : gauges.room(file));
    metrics.level(Metric.ANSWERS_USED, budget::used);
    metrics.level(Metric.ANSWERS_CAPACITY, budget::capacity);
    metrics.level(Metric.ANSWERS_WAITING, budget::waiting);
  }

  private synchronized void forget() {
    askedAt = clock.millis() - FRESH.toMillis();
  }

  private boolean answers() {
    ask();
    return answered();
  }

  private synchronized boolean answered() {
    return answered;
  }

  private double status(ToDoubleFunction<Status> part) {
    Status status = ask();
    return status == null ? Double.NaN : part.applyAsDouble(status);
  }

  /** How large the database can become: what etcd's alerts compare its size with. */
  private double room(@Nullable Path file) {
    if (file == null) {
      return Long.MAX_VALUE;
    }
    try {
      long usable = Files.getFileStore(file).getUsableSpace();
      return status(Status::size) + usable;
    } catch (IOException e) {
      return Double.NaN;
    }
  }

  /** The status of this scrape, or of before if the database does not answer. */
  private synchronized @Nullable Status ask() {
    if (clock.millis() - askedAt >= FRESH.toMillis()) {
      FutureTask<Status> task = new FutureTask<>(store::status);
      Thread thread = Thread.ofVirtual().name("status").start(task);
      answered = false;
      try {
        last = task.get(DEADLINE.toMillis(), TimeUnit.MILLISECONDS);
        answered = true;
      } catch (TimeoutException e) {
        thread.interrupt();
      } catch (InterruptedException e) {
        thread.interrupt();
        Thread.currentThread().interrupt();
      } catch (ExecutionException e) {
        // The health checks say what is wrong.
      }
      askedAt = clock.millis();
    }
    return last;
  }
}
