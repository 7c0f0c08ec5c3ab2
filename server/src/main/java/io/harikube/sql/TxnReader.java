package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.Txn;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs transactions that change nothing, each on one snapshot of the database, so that they hold up
 * nobody who writes. They leave connections to those who read ranges, which are in pages and take
 * turns.
 */
final class TxnReader {
  /**
   * A snapshot that lives for long keeps SQLite's log from being cut off, and PostgreSQL's rows.
   */
  private static final Duration LONGEST = Duration.ofSeconds(30);

  private final Dialect dialect;
  private final StoreMetrics metrics;
  private final LongSupplier epoch;
  private final Semaphore running;

  /**
   * @param epoch that of this server
   * @param most how many run at the same time
   */
  TxnReader(Dialect dialect, StoreMetrics metrics, LongSupplier epoch, int most) {
    this.dialect = dialect;
    this.metrics = metrics;
    this.epoch = epoch;
    this.running = new Semaphore(most, true);
  }

  /** What a transaction has answered, and what follows it. */
  private record Ran(OpResult.Txn result, Effects effects) {}

  /** Answers null if the database is another writer's: this one has to find out what that means. */
  OpResult.@Nullable Txn run(Txn txn, Set<Bytes> keys, MemoryBudget.Share share)
      throws SQLException {
    while (true) {
      try {
        return attempt(txn, keys, share);
      } catch (Collector.Overflow overflow) {
        RangeReader.restart(share, overflow);
      }
    }
  }

  private OpResult.@Nullable Txn attempt(Txn txn, Set<Bytes> keys, MemoryBudget.Share share)
      throws SQLException {
    try {
      running.acquire();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(Reason.UNAVAILABLE, "the request was given up", e);
    }
    Ran ran;
    try {
      ran = dialect.readers().snapshot((session, meta) -> run(session, meta, txn, keys, share));
    } finally {
      running.release();
    }
    if (ran == null) {
      return null;
    }
    ran.effects.run(metrics);
    return ran.result;
  }

  private @Nullable Ran run(
      Session session, Meta meta, Txn txn, Set<Bytes> keys, MemoryBudget.Share share)
      throws SQLException {
    if (meta.epoch() != epoch.getAsLong()) {
      return null;
    }
    Batch batch = Batch.ofReader(dialect, meta);
    batch.begin(session);
    batch.prefetch(keys);
    long end = System.nanoTime() + LONGEST.toNanos();
    return new Ran(TxnRunner.read(batch, txn, share, end), batch.effects());
  }
}
