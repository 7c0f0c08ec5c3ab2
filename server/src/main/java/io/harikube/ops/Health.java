package io.harikube.ops;

import io.harikube.store.Store;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether the store answers. Every check has a deadline, and none waits behind requests of clients:
 * reads have a connection of their own, and the one write is as small as writes are. Names of the
 * checks and the ways to ask for them are those of etcd's etcdhttp/health.go; {@code write} is
 * ours.
 */
final class Health {
  /** One look; the answer is null if all is well, or what is wrong. */
  @FunctionalInterface
  interface Check {
    @Nullable String failure();
  }

  private final Store store;
  private final Supplier<List<String>> alarms;
  private final Duration deadline;
  private final Question<Read> read;
  private final Question<Boolean> write;

  /**
   * A read of the database.
   *
   * @param current whether it has everything that was acknowledged before
   */
  private record Read(boolean current) {}

  /**
   * @param alarms the names of the alarms that are set
   */
  Health(Store store, Supplier<List<String>> alarms, Duration deadline) {
    this.store = store;
    this.alarms = alarms;
    this.deadline = deadline;
    this.read = new Question<>("health-read", deadline, this::askToRead);
    this.write = new Question<>("health-write", deadline, this::askToWrite);
  }

  private Read askToRead() {
    long acknowledged = store.revision();
    return new Read(store.status().revision() >= acknowledged);
  }

  private boolean askToWrite() throws ExecutionException, InterruptedException {
    store.probe().get();
    return true;
  }

  /**
   * What a failing check says about the process: only a restart mends it. Nothing is asked of the
   * database, which a restart does not bring back; it is read as soon as it is there.
   */
  Map<String, Check> live() {
    return Map.of("serializable_read", () -> store.ended().getNow(null));
  }

  /** What a failing check says about the service: it cannot be used now. */
  Map<String, Check> ready() {
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("data_corruption", this::corruption);
    checks.put("serializable_read", () -> failure(read));
    checks.put("linearizable_read", this::stale);
    checks.put("write", () -> failure(write));
    checks.put("non_learner", () -> null);
    return checks;
  }

  /**
   * The check of {@code /health}.
   *
   * @param excluded alarms that do not count
   * @param serializable whether a read is enough
   */
  @Nullable String failure(Set<String> excluded, boolean serializable) {
    for (String alarm : alarms.get()) {
      if (!excluded.contains(alarm)) {
        return "ALARM " + alarm;
      }
    }
    String failure = serializable ? failure(read) : stale();
    if (failure == null && !serializable) {
      failure = failure(write);
    }
    return failure == null ? null : "RANGE ERROR:" + failure;
  }

  private @Nullable String corruption() {
    return alarms.get().contains("CORRUPT") ? "alarm activated: CORRUPT" : null;
  }

  private @Nullable String stale() {
    try {
      return read.ask().current ? null : "the database is behind what it had acknowledged";
    } catch (ExecutionException | TimeoutException | InterruptedException e) {
      return text(e);
    }
  }

  private @Nullable String failure(Question<?> question) {
    try {
      var _ = question.ask();
      return null;
    } catch (ExecutionException | TimeoutException | InterruptedException e) {
      return text(e);
    }
  }

  private String text(Exception failure) {
    if (failure instanceof TimeoutException) {
      return "the store did not answer within " + deadline.toMillis() + " ms";
    }
    if (failure instanceof InterruptedException) {
      Thread.currentThread().interrupt();
      return "interrupted";
    }
    Throwable cause = failure;
    while ((cause instanceof ExecutionException || cause instanceof CompletionException)
        && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause.getMessage() == null ? cause.toString() : cause.getMessage();
  }
}
