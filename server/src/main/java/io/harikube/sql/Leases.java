package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.Bytes;
import io.harikube.store.Lease;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import java.security.SecureRandom;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Leases: rows with the absolute time at which they expire, so that a restart neither lengthens nor
 * shortens them. A thread compares the earliest of these times with the clock and asks the database
 * only when one has come.
 *
 * <p>A lease ends at one revision, with all its keys, unless these are more than {@link
 * #MOST_KEYS}: then it ends in steps, and is gone for everybody from the first on. What cannot be
 * ended is tried again after a pause, and holds up no other.
 */
final class Leases implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Leases.class);
  private static final RareLine NOT_ENDED =
      new RareLine(
          LOG,
          Level.WARN,
          Duration.ofSeconds(10),
          "lease {} could not be ended and is tried again: {}");
  private static final RareLine NOT_READ =
      new RareLine(
          LOG,
          Level.WARN,
          Duration.ofSeconds(10),
          "expired leases could not be looked for and are tried again: {}");
  private static final long TICK_MILLIS = 100;
  private static final int EXPIRED_AT_ONCE = 100;
  private static final int CHUNK = 1000;

  /** How many keys a lease deletes at one revision. */
  static final int MOST_KEYS = 10_000;

  /** When a lease expires that is being ended in steps; it cannot be kept alive or attached to. */
  private static final long ENDING = -1;

  private static final long FIRST_PAUSE_MILLIS = 500;
  private static final long LONGEST_PAUSE_MILLIS = 10_000;

  private final Dialect dialect;
  private final Writer writer;
  private final InstantSource clock;
  private final int minTtl;
  private final SecureRandom random = new SecureRandom();
  private final Thread thread = Thread.ofPlatform().daemon().name("leases").unstarted(this::loop);

  /** Leases that could not be ended, with when that is to be tried again; for the thread alone. */
  private final Map<Long, Pause> paused = new HashMap<>();

  /** No lease expires before this time. */
  private volatile long earliest;

  private volatile boolean closed;

  private record Pause(long until, long millis) {}

  /** A lease that has expired. */
  private record Expired(long id, long expiresAt) {}

  Leases(Dialect dialect, Writer writer, InstantSource clock, int minTtl) {
    this.dialect = dialect;
    this.writer = writer;
    this.clock = clock;
    this.minTtl = minTtl;
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
    thread.start();
  }

  /** Looks for leases that have expired, whatever is remembered of when the next one does. */
  void look() {
    earliest = 0;
  }

  CompletableFuture<Lease> grant(long id, long ttl) {
    long granted = Math.max(ttl, minTtl);
    return submit(
        batch -> {
          long chosen = id != 0 ? id : freeId(batch);
          if (read(batch.session(), chosen) != null) {
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
          batch.count(StoreMetrics.Count.LEASES_GRANTED, 1);
          batch.afterCommit(() -> earliest = Math.min(earliest, expiresAt));
          return new Lease(chosen, granted, expiresAt, List.of());
        });
  }

  private long freeId(Batch batch) throws SQLException {
    long id;
    do {
      id = random.nextLong(1, Long.MAX_VALUE);
    } while (read(batch.session(), id) != null);
    return id;
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

  /** Ends what has expired; each lease in a job of its own, which only its own failure undoes. */
  private void expire() {
    try {
      long now = clock.millis();
      Expired last = new Expired(Long.MIN_VALUE, Long.MIN_VALUE);
      List<Expired> page;
      do {
        Expired from = last;
        page = submit(batch -> expired(batch.session(), now, from)).join();
        end(page);
        last = page.isEmpty() ? last : page.getLast();
      } while (page.size() == EXPIRED_AT_ONCE && !closed);
      paused.values().removeIf(pause -> pause.until < now - LONGEST_PAUSE_MILLIS);
      var _ =
          submit(
                  batch -> {
                    long next = first(batch.session());
                    batch.afterCommit(() -> earliest = next);
                    return true;
                  })
              .join();
    } catch (CompletionException e) {
      NOT_READ.write(e.getMessage());
    } catch (RuntimeException | Error e) {
      NOT_READ.write(e.toString(), e);
    }
  }

  private void end(List<Expired> leases) {
    long now = clock.millis();
    Map<Long, CompletableFuture<Long>> ends = new LinkedHashMap<>();
    for (Expired lease : leases) {
      Pause pause = paused.get(lease.id);
      if (pause == null || pause.until <= now) {
        ends.put(lease.id, end(lease.id));
      }
    }
    ends.forEach(
        (id, end) -> {
          try {
            end.join();
            paused.remove(id);
          } catch (CompletionException e) {
            NOT_ENDED.write(id, e.getMessage());
            Pause before = paused.get(id);
            long millis =
                before == null
                    ? FIRST_PAUSE_MILLIS
                    : Math.min(2 * before.millis, LONGEST_PAUSE_MILLIS);
            paused.put(id, new Pause(now + millis, millis));
          }
        });
  }

  /** Ends a lease, unless it has been kept alive since it was found. */
  private CompletableFuture<Long> end(long id) {
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

  private static List<Expired> expired(Session session, long now, Expired after)
      throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT id, expires_at FROM lease WHERE expires_at <= ? AND (expires_at > ? OR"
                + " (expires_at = ? AND id > ?)) ORDER BY expires_at, id LIMIT ?");
    select.setLong(1, now);
    select.setLong(2, after.expiresAt);
    select.setLong(3, after.expiresAt);
    select.setLong(4, after.id);
    select.setInt(5, EXPIRED_AT_ONCE);
    List<Expired> found = new ArrayList<>();
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        found.add(new Expired(rows.getLong(1), rows.getLong(2)));
      }
    }
    return found;
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
