package io.harikube.sql;

import io.harikube.log.RareLine;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Ends leases when their time has come. A thread compares the earliest of these times with the
 * clock and asks the database only when one has come. What cannot be ended is tried again after a
 * pause, and holds up no other.
 */
final class LeaseEnds implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LeaseEnds.class);
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
  private static final int EMPTY_AT_ONCE = 1_000;
  private static final long FIRST_PAUSE_MILLIS = 500;
  private static final long LONGEST_PAUSE_MILLIS = 10_000;

  private final Leases leases;
  private final Writer writer;
  private final InstantSource clock;
  private final Thread thread = Thread.ofPlatform().daemon().name("leases").unstarted(this::loop);

  /** Leases that could not be ended, with when that is to be tried again; for the thread alone. */
  private final Map<Long, Pause> paused = new HashMap<>();

  /** No lease expires before this time. */
  private volatile long earliest;

  private volatile boolean closed;

  private record Pause(long until, long millis) {}

  /** A lease that has expired. */
  private record Expired(long id, long expiresAt) {}

  LeaseEnds(Leases leases, Writer writer, InstantSource clock) {
    this.leases = leases;
    this.writer = writer;
    this.clock = clock;
  }

  void start() {
    thread.start();
  }

  /** Looks for leases that have expired, whatever is remembered of when the next one does. */
  void look() {
    earliest = 0;
  }

  /** A lease has been granted; called by the writer's thread. */
  void expiresAt(long time) {
    earliest = Math.min(earliest, time);
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
      expireEmpty(now);
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

  /** One that cannot be ended holds up those that end with it, and no more. */
  private void expireEmpty(long now) {
    try {
      while (!closed && leases.expireEmpty(now, EMPTY_AT_ONCE).join() == EMPTY_AT_ONCE) {}
    } catch (CompletionException e) {
      LOG.debug("leases without keys are ended one by one: {}", e.getMessage());
    }
  }

  private void end(List<Expired> due) {
    long now = clock.millis();
    Map<Long, CompletableFuture<Long>> ends = new LinkedHashMap<>();
    for (Expired lease : due) {
      Pause pause = paused.get(lease.id);
      if (pause == null || pause.until <= now) {
        ends.put(lease.id, leases.expire(lease.id));
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
