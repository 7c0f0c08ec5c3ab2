package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.StoreException;
import io.harikube.store.StoreMetrics;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Deletes what a compaction makes unreachable, in small steps between the writes.
 *
 * <p>A row of the log is superseded when the same key has a newer one at or below the compacted
 * revision. So each row up to that revision is looked at once, in order, and takes the one before
 * it in the life of its key with it: the work follows the number of changes since the last
 * compaction, not the size of the store. A tombstone goes, too, except at the compacted revision
 * itself: a watch may still begin there and must see the deletion; the next compaction begins with
 * that revision once more.
 *
 * <p>A step that fails, for whatever reason, is tried again after a pause, for as long as the
 * server runs. How far the work has got is part of every step's commit, and each step begins with
 * what the database says of that.
 */
final class Compactor implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Compactor.class);
  private static final Duration QUIET = Duration.ofMinutes(1);
  private static final RareLine FAILED =
      new RareLine(LOG, Level.WARN, QUIET, "a compaction failed and is tried again: {}");
  private static final RareLine BROKEN =
      new RareLine(LOG, Level.ERROR, QUIET, "a compaction failed and is tried again");
  private static final long RETRY_MILLIS = 500;

  private record Waiter(long revision, CompletableFuture<Void> done) {}

  private record Step(List<Long> unreachable, long cursor, boolean last) {}

  private record Deleted(int rows, long nanos) {}

  private final Dialect dialect;
  private final Writer writer;
  private final Pins pins;
  private final StoreMetrics metrics;
  private final SqlOptions options;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Waiter> waiters = new ArrayList<>();
  private final Thread thread =
      Thread.ofPlatform().daemon().name("compactor").unstarted(this::loop);
  private long wanted;
  private volatile long reached;
  private volatile boolean closed;

  Compactor(
      Dialect dialect,
      Writer writer,
      Pins pins,
      SqlOptions options,
      Meta meta,
      StoreMetrics metrics) {
    this.metrics = metrics;
    this.dialect = dialect;
    this.writer = writer;
    this.pins = pins;
    this.options = options;
    this.wanted = meta.compacted();
    this.reached = meta.compacting();
  }

  void start() {
    thread.start();
  }

  /** Begins to work up to {@code revision}; completed when it is done. */
  CompletableFuture<Void> request(long revision) {
    lock.lock();
    try {
      Waiter waiter = new Waiter(revision, new CompletableFuture<>());
      wanted = Math.max(wanted, revision);
      waiters.add(waiter);
      changed.signalAll();
      return waiter.done;
    } finally {
      lock.unlock();
    }
  }

  private void loop() {
    try {
      resume();
      while (!closed) {
        long target = await();
        if (attempt(target)) {
          finished(target);
        } else {
          TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A compaction that a stop cut short goes on. */
  private void resume() throws InterruptedException {
    while (!closed && reached >= 0 && !attempt(reached)) {
      TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
    }
  }

  private long await() throws InterruptedException {
    lock.lock();
    try {
      while (wanted <= reached) {
        changed.await();
      }
      return wanted;
    } finally {
      lock.unlock();
    }
  }

  private void finished(long target) {
    lock.lock();
    try {
      reached = target;
      for (Iterator<Waiter> all = waiters.iterator(); all.hasNext(); ) {
        Waiter waiter = all.next();
        if (waiter.revision <= target) {
          all.remove();
          waiter.done.complete(null);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean attempt(long target) throws InterruptedException {
    try {
      pins.awaitNoneBelow(target, options.compactionReadDeadline());
      long begin = System.nanoTime();
      try {
        compact(target);
      } finally {
        pins.rest();
      }
      metrics.time(StoreMetrics.Time.COMPACTION, System.nanoTime() - begin);
      boolean more = true;
      while (more && !closed) {
        more = run(batch -> endAttributes(batch, target));
      }
      more = true;
      while (more && !closed) {
        more = run(batch -> vacuum(batch));
      }
      return true;
    } catch (StoreException | CompletionException | SQLException e) {
      FAILED.write(Sentences.first(e));
    } catch (RuntimeException | Error e) {
      BROKEN.write(e);
    }
    return false;
  }

  /** Deletes attributes that ended before all revisions that can still be read. */
  private boolean endAttributes(Batch batch, long target) throws SQLException {
    batch.write();
    PreparedStatement delete =
        batch
            .session()
            .prepare(
                "DELETE FROM attribute_past WHERE (key, name, from_id) IN (SELECT key, name, from_id"
                    + " FROM attribute_past WHERE to_id < ? ORDER BY to_id LIMIT ?)");
    delete.setLong(1, Ids.first(target + 1));
    delete.setInt(2, options.compactionBatch());
    int deleted = delete.executeUpdate();
    if (deleted > 0) {
      batch.markDirty();
    }
    return deleted == options.compactionBatch();
  }

  private boolean vacuum(Batch batch) throws SQLException {
    boolean more = dialect.vacuumStep(batch.session());
    batch.markDirty();
    return more;
  }

  private void compact(long target) throws SQLException, InterruptedException {
    step(
        batch -> {
          batch.setCompacting(target, batch.compactCursor());
          return true;
        });
    boolean last = false;
    while (!last && !closed) {
      Step step =
          dialect
              .readers()
              .snapshot((session, meta) -> look(session, meta.compactCursor(), target));
      Deleted deleted = step(batch -> delete(batch, step, target));
      metrics.count(StoreMetrics.Count.COMPACTED_ROWS, deleted.rows);
      metrics.time(StoreMetrics.Time.COMPACTION_STEP, deleted.nanos);
      last = step.last;
    }
  }

  private Deleted delete(Batch batch, Step step, long target) throws SQLException {
    batch.write();
    long started = System.nanoTime();
    int rows = dialect.delete(batch.session(), step.unreachable);
    batch.setCompacting(target, step.cursor);
    return new Deleted(rows, System.nanoTime() - started);
  }

  private <T> T step(Job.Work<T> work) throws InterruptedException {
    try (Pins.Pin _ = pins.step()) {
      return run(work);
    }
  }

  /** Finds what the next rows make unreachable. */
  private Step look(Session session, long from, long target) throws SQLException {
    List<Long> unreachable = new ArrayList<>();
    PreparedStatement select =
        session.prepare(
            "SELECT id, prev, version FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT ?");
    select.setLong(1, from);
    select.setLong(2, Ids.first(target + 1));
    select.setInt(3, options.compactionBatch());
    int rows = 0;
    long cursor = Ids.first(target);
    try (ResultSet result = select.executeQuery()) {
      while (result.next()) {
        rows++;
        long id = result.getLong(1);
        long prev = result.getLong(2);
        cursor = id + 1;
        if (prev != 0) {
          unreachable.add(prev);
        }
        if (result.getLong(3) == 0 && Ids.revision(id) < target) {
          unreachable.add(id);
        }
      }
    }
    boolean last = rows < options.compactionBatch();
    return new Step(unreachable, last ? Ids.first(target) : cursor, last);
  }

  private <T> T run(Job.Work<T> work) {
    return writer.submit(new Job<>(Set.of(), work)).join();
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    lock.lock();
    try {
      waiters.forEach(
          waiter ->
              waiter.done.completeExceptionally(
                  new StoreException(StoreException.Reason.UNAVAILABLE, "the server is stopping")));
    } finally {
      lock.unlock();
    }
  }
}
