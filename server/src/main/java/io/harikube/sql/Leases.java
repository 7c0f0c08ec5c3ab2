package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.Lease;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import java.security.SecureRandom;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Leases: rows with the absolute time at which they expire, so that a restart neither lengthens nor
 * shortens them. A thread compares the earliest of these times with the clock and asks the database
 * only when one has come.
 */
final class Leases implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Leases.class);
  private static final long TICK_MILLIS = 100;
  private static final int MAX_EXPIRED = 100;
  private static final int MAX_KEYS = 1000;

  private final Dialect dialect;
  private final Writer writer;
  private final InstantSource clock;
  private final StoreMetrics metrics;
  private final int minTtl;
  private final SecureRandom random = new SecureRandom();
  private final Thread thread = Thread.ofPlatform().daemon().name("leases").unstarted(this::loop);

  /** No lease expires before this time. */
  private volatile long earliest;

  private volatile boolean closed;

  Leases(Dialect dialect, Writer writer, InstantSource clock, int minTtl, StoreMetrics metrics) {
    this.metrics = metrics;
    this.dialect = dialect;
    this.writer = writer;
    this.clock = clock;
    this.minTtl = minTtl;
  }

  void start() {
    thread.start();
  }

  CompletableFuture<Lease> grant(long id, long ttl) {
    long granted = Math.max(ttl, minTtl);
    return submit(
        batch -> {
          long chosen = id != 0 ? id : freeId(batch);
          if (batch.leaseExists(chosen)) {
            throw new StoreException(Reason.LEASE_EXISTS, "there is a lease " + chosen);
          }
          long expiresAt = clock.millis() + granted * 1000;
          PreparedStatement insert =
              batch.session().prepare("INSERT INTO lease (id, ttl, expires_at) VALUES (?, ?, ?)");
          insert.setLong(1, chosen);
          insert.setLong(2, granted);
          insert.setLong(3, expiresAt);
          insert.executeUpdate();
          batch.setLease(chosen, true);
          metrics.count(StoreMetrics.Count.LEASES_GRANTED, 1);
          earliest = Math.min(earliest, expiresAt);
          return new Lease(chosen, granted, expiresAt, List.of());
        });
  }

  private long freeId(Batch batch) throws SQLException {
    long id;
    do {
      id = random.nextLong(1, Long.MAX_VALUE);
    } while (batch.leaseExists(id));
    return id;
  }

  CompletableFuture<Lease> keepAlive(long id) {
    return submit(
        batch -> {
          Lease lease = read(batch.session(), id);
          long now = clock.millis();
          if (lease == null || lease.expiresAt() <= now) {
            throw new StoreException(Reason.LEASE_NOT_FOUND, "there is no lease " + id);
          }
          long expiresAt = now + lease.grantedTtl() * 1000;
          PreparedStatement update =
              batch.session().prepare("UPDATE lease SET expires_at = ? WHERE id = ?");
          update.setLong(1, expiresAt);
          update.setLong(2, id);
          update.executeUpdate();
          batch.markDirty();
          metrics.count(StoreMetrics.Count.LEASES_RENEWED, 1);
          return new Lease(id, lease.grantedTtl(), expiresAt, List.of());
        });
  }

  CompletableFuture<Long> revoke(long id) {
    return submit(
        batch -> {
          if (!batch.leaseExists(id)) {
            throw new StoreException(Reason.LEASE_NOT_FOUND, "there is no lease " + id);
          }
          metrics.count(StoreMetrics.Count.LEASES_REVOKED, 1);
          return end(batch, id);
        });
  }

  /** Deletes a lease and its keys. */
  private long end(Batch batch, long id) throws SQLException {
    List<Bytes> keys;
    do {
      batch.write();
      keys = keys(batch.session(), id, MAX_KEYS);
      batch.prefetch(keys);
      for (Bytes key : keys) {
        batch.delete(key);
      }
    } while (keys.size() == MAX_KEYS);
    PreparedStatement delete = batch.session().prepare("DELETE FROM lease WHERE id = ?");
    delete.setLong(1, id);
    delete.executeUpdate();
    batch.setLease(id, false);
    return batch.finish();
  }

  private void loop() {
    try {
      while (!closed) {
        TimeUnit.MILLISECONDS.sleep(TICK_MILLIS);
        if (clock.millis() >= earliest) {
          expire();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void expire() {
    try {
      submit(
              batch -> {
                for (long id : expired(batch.session(), clock.millis())) {
                  end(batch, id);
                  metrics.count(StoreMetrics.Count.LEASES_EXPIRED, 1);
                }
                earliest = first(batch.session());
                return true;
              })
          .join();
    } catch (CompletionException e) {
      LOG.warn("leases could not be ended and are tried again: {}", e.getMessage());
    }
  }

  private static List<Long> expired(Session session, long now) throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT id FROM lease WHERE expires_at <= ? ORDER BY expires_at, id LIMIT ?");
    select.setLong(1, now);
    select.setInt(2, MAX_EXPIRED);
    return longs(select);
  }

  private static long first(Session session) throws SQLException {
    try (ResultSet rows =
        session
            .prepare("SELECT coalesce(min(expires_at), 9223372036854775807) FROM lease")
            .executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }

  @Nullable Lease lease(long id, boolean withKeys) throws SQLException {
    return dialect
        .readers()
        .snapshot(
            (session, _) -> {
              Lease lease = read(session, id);
              return lease == null || !withKeys
                  ? lease
                  : new Lease(
                      id,
                      lease.grantedTtl(),
                      lease.expiresAt(),
                      keys(session, id, Integer.MAX_VALUE));
            });
  }

  List<Long> ids() throws SQLException {
    return dialect
        .readers()
        .snapshot(
            (session, _) -> longs(session.prepare("SELECT id FROM lease ORDER BY expires_at, id")));
  }

  private static @Nullable Lease read(Session session, long id) throws SQLException {
    PreparedStatement select = session.prepare("SELECT ttl, expires_at FROM lease WHERE id = ?");
    select.setLong(1, id);
    try (ResultSet rows = select.executeQuery()) {
      return rows.next() ? new Lease(id, rows.getLong(1), rows.getLong(2), List.of()) : null;
    }
  }

  private static List<Bytes> keys(Session session, long id, int limit) throws SQLException {
    // The second condition is the partial index's own: without it SQLite does not see that it may
    // use it.
    PreparedStatement select =
        session.prepare("SELECT key FROM live WHERE lease = ? AND lease <> 0 ORDER BY key LIMIT ?");
    select.setLong(1, id);
    select.setInt(2, limit);
    List<Bytes> keys = new ArrayList<>();
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        keys.add(Rows.bytes(rows, 1));
      }
    }
    return keys;
  }

  private static List<Long> longs(PreparedStatement select) throws SQLException {
    List<Long> values = new ArrayList<>();
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        values.add(rows.getLong(1));
      }
    }
    return values;
  }

  private <T> CompletableFuture<T> submit(Job.Work<T> work) {
    return writer.submit(new Job<>(Set.of(), work));
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
  }
}
