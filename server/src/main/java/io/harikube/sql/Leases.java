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
import org.jspecify.annotations.Nullable;

/**
 * Leases: rows with the absolute time at which they expire, so that a restart neither lengthens nor
 * shortens them; see {@link LeaseEnds} for who ends them.
 *
 * <p>A lease ends at one revision, with all its keys, unless these are more than {@link
 * #MOST_KEYS}: then it ends in steps, and is gone for everybody from the first on.
 */
final class Leases implements AutoCloseable {
  private static final int CHUNK = 1000;

  /** How many keys a lease deletes at one revision. */
  static final int MOST_KEYS = 10_000;

  /** When a lease expires that is being ended in steps; it cannot be kept alive or attached to. */
  private static final long ENDING = -1;

  private final Dialect dialect;
  private final Writer writer;
  private final InstantSource clock;
  private final int minTtl;
  private final SecureRandom random = new SecureRandom();
  private final LeaseEnds ends;

  Leases(Dialect dialect, Writer writer, InstantSource clock, int minTtl) {
    this.dialect = dialect;
    this.writer = writer;
    this.clock = clock;
    this.minTtl = minTtl;
    this.ends = new LeaseEnds(this, writer, clock);
  }

  /** Begins to end leases; none has more time left than it was granted, whatever the clock says. */
  void start() {
    var _ =
        submit(
            batch -> {
              PreparedStatement update =
                  batch
                      .session()
                      .prepare(
                          "UPDATE lease SET expires_at = ? + 1000 * ttl"
                              + " WHERE expires_at > ? + 1000 * ttl");
              long now = clock.millis();
              update.setLong(1, now);
              update.setLong(2, now);
              if (update.executeUpdate() > 0) {
                batch.markDirty();
              }
              return true;
            });
    ends.start();
  }

  /** Looks for leases that have expired, whatever is remembered of when the next one does. */
  void look() {
    ends.look();
  }

  CompletableFuture<Lease> grant(long id, long ttl) {
    long granted = Math.max(ttl, minTtl);
    return submit(
        batch -> {
          long expiresAt = clock.millis() + granted * 1000;
          long chosen = id;
          if (id != 0 && !insert(batch, id, granted, expiresAt)) {
            throw new StoreException(Reason.LEASE_EXISTS, "there is a lease " + id);
          }
          while (chosen == 0) {
            long free = random.nextLong(1, Long.MAX_VALUE);
            chosen = insert(batch, free, granted, expiresAt) ? free : 0;
          }
          batch.setLease(chosen, true);
          batch.count(StoreMetrics.Count.LEASES_GRANTED, 1);
          batch.afterCommit(() -> ends.expiresAt(expiresAt));
          return new Lease(chosen, granted, expiresAt, List.of());
        });
  }

  /** Answers false if there is a lease with that id. */
  private static boolean insert(Batch batch, long id, long ttl, long expiresAt)
      throws SQLException {
    PreparedStatement insert =
        batch
            .session()
            .prepare(
                "INSERT INTO lease (id, ttl, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    insert.setLong(1, id);
    insert.setLong(2, ttl);
    insert.setLong(3, expiresAt);
    return insert.executeUpdate() > 0;
  }

  /** Whether keys can be attached to a lease. */
  static boolean exists(Session session, long id) throws SQLException {
    PreparedStatement select =
        session.prepare("SELECT 1 FROM lease WHERE id = ? AND expires_at <> " + ENDING);
    select.setLong(1, id);
    try (ResultSet rows = select.executeQuery()) {
      return rows.next();
    }
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
          expireAt(batch, id, expiresAt);
          batch.count(StoreMetrics.Count.LEASES_RENEWED, 1);
          return new Lease(id, lease.grantedTtl(), expiresAt, List.of());
        });
  }

  private static void expireAt(Batch batch, long id, long expiresAt) throws SQLException {
    PreparedStatement update =
        batch.session().prepare("UPDATE lease SET expires_at = ? WHERE id = ?");
    update.setLong(1, expiresAt);
    update.setLong(2, id);
    update.executeUpdate();
    batch.markDirty();
  }

  CompletableFuture<Long> revoke(long id) {
    return submit(
            batch -> {
              if (read(batch.session(), id) == null) {
                throw new StoreException(Reason.LEASE_NOT_FOUND, "there is no lease " + id);
              }
              batch.count(StoreMetrics.Count.LEASES_REVOKED, 1);
              return end(batch, id);
            })
        .thenCompose(ended -> goOn(id, ended));
  }

  /**
   * What a step has left of a lease.
   *
   * @param revision the current one
   */
  private record Ended(boolean whole, long revision) {}

  /** Takes the steps that are left; answers the revision of the last. */
  private CompletableFuture<Long> goOn(long id, Ended ended) {
    return ended.whole
        ? CompletableFuture.completedFuture(ended.revision)
        : submit(batch -> end(batch, id)).thenCompose(next -> goOn(id, next));
  }

  /** Deletes a lease and its keys, or as many of them as one revision may. */
  private static Ended end(Batch batch, long id) throws SQLException {
    batch.write();
    boolean whole = keys(batch.session(), id, MOST_KEYS + 1).size() <= MOST_KEYS;
    int left = MOST_KEYS;
    List<Bytes> keys;
    do {
      batch.write();
      keys = keys(batch.session(), id, Math.min(left, CHUNK));
      batch.prefetch(keys);
      for (Bytes key : keys) {
        batch.delete(key);
      }
      left -= keys.size();
    } while (keys.size() == CHUNK && left > 0);
    if (whole) {
      PreparedStatement delete = batch.session().prepare("DELETE FROM lease WHERE id = ?");
      delete.setLong(1, id);
      delete.executeUpdate();
    } else {
      expireAt(batch, id, ENDING);
    }
    batch.setLease(id, false);
    return new Ended(whole, batch.finish());
  }

  /**
   * Ends leases that have expired and have no keys, which most have not: all at once.
   *
   * @return how many
   */
  CompletableFuture<Integer> expireEmpty(long now, int most) {
    return submit(
        batch -> {
          batch.write();
          PreparedStatement delete =
              batch
                  .session()
                  .prepare(
                      """
                      DELETE FROM lease WHERE id IN (
                        SELECT l.id FROM lease l WHERE l.expires_at <= ? AND NOT EXISTS (
                          SELECT 1 FROM live v WHERE v.lease = l.id AND v.lease <> 0)
                        ORDER BY l.expires_at LIMIT ?)
                      RETURNING id""");
          delete.setLong(1, now);
          delete.setInt(2, most);
          List<Long> ended = longs(delete);
          for (long id : ended) {
            batch.setLease(id, false);
          }
          batch.count(StoreMetrics.Count.LEASES_EXPIRED, ended.size());
          return ended.size();
        });
  }

  /** Ends a lease, unless it has been kept alive since it was found. */
  CompletableFuture<Long> expire(long id) {
    return submit(
            batch -> {
              Lease lease = read(batch.session(), id);
              if (lease == null || lease.expiresAt() > clock.millis()) {
                return new Ended(true, batch.revision());
              }
              batch.count(StoreMetrics.Count.LEASES_EXPIRED, 1);
              return end(batch, id);
            })
        .thenCompose(ended -> goOn(id, ended));
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
    ends.close();
  }
}
