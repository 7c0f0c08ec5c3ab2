package io.harikube.ops;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.MemoryBudget;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.Txn;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether the store answers. Every check has a deadline, and its own memory: neither a database
 * that hangs nor large answers in flight hold it up. Source of the checks: etcd's
 * etcdhttp/health.go.
 */
final class Health {
  private static final Bytes KEY = Bytes.of("health");

  /** One look; the answer is null if all is well, or what is wrong. */
  @FunctionalInterface
  interface Check {
    @Nullable String failure();
  }

  private final Store store;
  private final Supplier<List<String>> alarms;
  private final Duration deadline;
  private final MemoryBudget budget = new MemoryBudget(1 << 20);

  /**
   * @param alarms the names of the alarms that are set
   */
  Health(Store store, Supplier<List<String>> alarms, Duration deadline) {
    this.store = store;
    this.alarms = alarms;
    this.deadline = deadline;
  }

  /** What a failing check says about the process: a restart mends it. */
  Map<String, Check> live() {
    // Restarting this process does not bring a database back: only a check that hangs counts.
    return Map.of("serializable_read", () -> within(() -> read(true)));
  }

  /** What a failing check says about the service: it cannot be used now. */
  Map<String, Check> ready() {
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("data_corruption", this::corruption);
    checks.put("serializable_read", () -> within(() -> read(false)));
    checks.put("linearizable_read", () -> within(this::readThroughWriter));
    checks.put("non_learner", () -> null);
    return checks;
  }

  /**
   * The check of {@code /health}.
   *
   * @param excluded alarms that do not count
   * @param serializable whether a read that does not go through the writer is enough
   */
  @Nullable String failure(Set<String> excluded, boolean serializable) {
    for (String alarm : alarms.get()) {
      if (!excluded.contains(alarm)) {
        return "ALARM " + alarm;
      }
    }
    String failure = within(serializable ? () -> read(false) : this::readThroughWriter);
    return failure == null ? null : "RANGE ERROR:" + failure;
  }

  private @Nullable String corruption() {
    return alarms.get().contains("CORRUPT") ? "alarm activated: CORRUPT" : null;
  }

  private @Nullable String read(boolean unavailableIsFine) {
    try (MemoryBudget.Share share = budget.open()) {
      store.range(query(), share);
      return null;
    } catch (StoreException e) {
      return unavailableIsFine && e.reason() == StoreException.Reason.UNAVAILABLE ? null : text(e);
    }
  }

  private @Nullable String readThroughWriter() {
    try (MemoryBudget.Share share = budget.open()) {
      store
          .txn(Txn.of(new Txn.Range(query())), share)
          .get(deadline.toMillis(), TimeUnit.MILLISECONDS);
      return null;
    } catch (ExecutionException e) {
      return text(e.getCause());
    } catch (TimeoutException e) {
      return late();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "interrupted";
    }
  }

  private static RangeQuery query() {
    RangeQuery all = RangeQuery.of(KeyRange.single(KEY)).withLimit(1);
    return new RangeQuery(all.range(), 1, 0, all.target(), all.order(), true, false, 0, 0, 0, 0);
  }

  private @Nullable String within(Check check) {
    FutureTask<@Nullable String> task = new FutureTask<>(check::failure);
    Thread thread = Thread.ofVirtual().name("health").start(task);
    try {
      return task.get(deadline.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      return text(e.getCause());
    } catch (TimeoutException e) {
      thread.interrupt();
      return late();
    } catch (InterruptedException e) {
      thread.interrupt();
      Thread.currentThread().interrupt();
      return "interrupted";
    }
  }

  private String late() {
    return "the store did not answer within " + deadline.toMillis() + " ms";
  }

  private static String text(@Nullable Throwable failure) {
    return failure == null || failure.getMessage() == null
        ? String.valueOf(failure)
        : String.valueOf(failure.getMessage());
  }
}
