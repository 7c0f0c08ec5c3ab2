package io.harikube.sql;

import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes snapshots: SQLite databases with the tables of a store, whatever database the store itself
 * is in, so that a snapshot of the one restores into the other.
 *
 * <p>The log is copied in pages, all up to one revision, so that a long copy holds up neither
 * checkpoints nor vacuum; {@link Pins} keeps the compaction from deleting anything meanwhile, for
 * as long as the copying takes and not while the copy is handed on. Should something have been
 * deleted all the same, as by another server that has taken the database over, the copy is thrown
 * away.
 *
 * <p>There is one copy at a time. Who wants another waits for it to be handed on.
 */
final class Snapshots {
  private static final Logger LOG = LoggerFactory.getLogger(Snapshots.class);
  private static final int ATTEMPTS = 3;

  /** How often those who wait see whether they still have to. */
  private static final Duration LOOK = Duration.ofMillis(100);

  private final Dialect source;
  private final Pins pins;
  private final SqlFailures failures;
  private final Semaphore line = new Semaphore(1, true);

  Snapshots(Dialect source, Pins pins, SqlFailures failures) {
    this.source = source;
    this.pins = pins;
    this.failures = failures;
  }

  /** Something that may not be possible yet. */
  private interface Attempt {
    boolean within(Duration patience) throws InterruptedException;
  }

  private record Copy(ScratchFile file, long revision) {}

  /** Writes the store to {@code sink}, by way of a temporary file. */
  void save(Store.SnapshotSink sink) throws IOException {
    await(sink, patience -> line.tryAcquire(patience.toNanos(), TimeUnit.NANOSECONDS));
    try {
      Copy copy = copy(sink);
      try (ScratchFile file = copy.file;
          OutputStream out = sink.begin(file.size(), copy.revision)) {
        file.copyTo(out);
      }
    } finally {
      line.release();
    }
  }

  private static void await(Store.SnapshotSink sink, Attempt attempt) throws IOException {
    try {
      do {
        refuseIfCancelled(sink);
      } while (!attempt.within(LOOK));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("the snapshot was given up");
    }
  }

  private static void refuseIfCancelled(Store.SnapshotSink sink) throws IOException {
    if (sink.isCancelled()) {
      throw new IOException("nobody wants the snapshot any more");
    }
  }

  private Copy copy(Store.SnapshotSink sink) throws IOException {
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
      await(sink, pins::hold);
      try {
        Copy copy = attempt(sink);
        if (copy != null) {
          return copy;
        }
      } catch (SQLException e) {
        throw new IOException("the snapshot could not be written: " + e.getMessage(), e);
      } finally {
        pins.release();
      }
      LOG.warn("the history was compacted while it was copied for a snapshot, which begins again");
    }
    throw new StoreException(Reason.UNAVAILABLE, "the history is being compacted by somebody else");
  }

  /** Copies the store; answers null if a part of it was deleted meanwhile. */
  private @Nullable Copy attempt(Store.SnapshotSink sink) throws IOException, SQLException {
    ScratchFile file = ScratchFile.create();
    Meta meta = null;
    try {
      meta = fill(file.session(), sink);
      return meta == null ? null : new Copy(file, meta.revision());
    } finally {
      if (meta == null) {
        file.close();
      }
    }
  }

  private @Nullable Meta fill(Session target, Store.SnapshotSink sink)
      throws IOException, SQLException {
    SqliteDialect sqlite =
        new SqliteDialect(
            SqlOptions.of(new Endpoint.Sqlite(Path.of("snapshot"))), StoreMetrics.NONE);
    target.execute("PRAGMA auto_vacuum = INCREMENTAL");
    sqlite.begin(target);
    for (String statement : sqlite.schema()) {
      target.execute(statement);
    }
    // The leases are those of the revision: a key must not outlive the lease it is attached to.
    StoreCopy.State state = failures.call(() -> source.readers().snapshot(StoreCopy::state));
    Meta meta = state.meta();
    StoreCopy.insert(target, state);
    for (long from = 0; from >= 0; ) {
      refuseIfCancelled(sink);
      LogPages.Scan rest = LogPages.Scan.of(from, Ids.first(meta.revision() + 1));
      LogPages.Page page =
          failures.call(
              () -> source.readers().snapshot((session, _) -> LogPages.read(session, rest)));
      StoreCopy.write(sqlite, target, page);
      from = page.next();
    }
    Meta now = failures.call(() -> source.readers().single(Meta::read));
    if (now.revision() < meta.revision()
        || now.compacting() != meta.compacting()
        || now.compactCursor() != meta.compactCursor()) {
      return null;
    }
    sqlite.commit(target);
    return meta;
  }
}
