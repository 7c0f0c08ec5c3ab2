package io.harikube.ops;

import io.harikube.store.Store;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compacts the store from time to time, for clients that do not. Source: kine's compactor. Each
 * turn compacts up to the revision that was the current one at the turn before, so that everything
 * stays readable for at least one interval, and keeps at least so many revisions.
 *
 * <p>A turn that fails is the next one's work; a compaction that is still running is never joined
 * by a second one.
 */
public final class AutoCompactor implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(AutoCompactor.class);

  private final Store store;
  private final long minRetain;
  private final Duration timeout;
  private final ScheduledExecutorService scheduler;
  private long target;
  private CompletableFuture<?> running = CompletableFuture.completedFuture(null);

  /**
   * @param minRetain how many revisions stay at least
   * @param timeout how long a compaction may take until the log says that it is slow
   * @param scheduler on which the turns are taken; closed with this
   */
  public AutoCompactor(
      Store store, long minRetain, Duration timeout, ScheduledExecutorService scheduler) {
    this.store = store;
    this.minRetain = minRetain;
    this.timeout = timeout;
    this.scheduler = scheduler;
    this.target = store.revision();
  }

  /** Takes a turn after every {@code interval} from now on. */
  public void every(Duration interval) {
    var _ =
        scheduler.scheduleWithFixedDelay(
            this::turn, interval.toNanos(), interval.toNanos(), TimeUnit.NANOSECONDS);
  }

  /** One turn. */
  synchronized void turn() {
    if (!running.isDone()) {
      LOG.warn("The automatic compaction takes longer than the interval; this turn is left out.");
      return;
    }
    long current = store.revision();
    long revision = Math.min(target, current - minRetain);
    target = current;
    try {
      if (revision <= store.log().compactedRevision()) {
        return;
      }
      CompletableFuture<Long> compaction = store.compact(revision, true);
      running = compaction.handle((at, failure) -> done(revision, failure));
      CompletableFuture.delayedExecutor(timeout.toMillis(), TimeUnit.MILLISECONDS, scheduler)
          .execute(() -> lookAt(compaction, revision));
    } catch (RuntimeException e) {
      failed(revision, e);
    }
  }

  private static boolean done(long revision, @Nullable Throwable failure) {
    if (failure == null) {
      LOG.info("Compacted at revision {}.", revision);
    } else {
      failed(revision, failure);
    }
    return failure == null;
  }

  private static void failed(long revision, Throwable failure) {
    Throwable cause =
        failure instanceof CompletionException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    LOG.warn(
        "The automatic compaction at revision {} failed and will be tried again: {}",
        revision,
        String.valueOf(cause.getMessage()));
  }

  private void lookAt(CompletableFuture<?> compaction, long revision) {
    if (!compaction.isDone()) {
      LOG.warn("The automatic compaction at revision {} takes longer than {}.", revision, timeout);
    }
  }

  /** Takes no more turns; a compaction that runs is left to the store. */
  @Override
  public void close() {
    scheduler.shutdownNow();
  }
}
