package io.harikube.sql;

import io.harikube.store.Bytes;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/**
 * Reads single keys on PostgreSQL, where a statement costs ten times what it costs to read one key
 * more with it. While as many statements as are of use are under way, those who ask wait, and the
 * next statement reads for all of them. Each is answered by a statement that began after they
 * asked.
 */
final class SharedPoints {
  private static final int MOST_KEYS = 64;
  private static final int STATEMENTS = 2;

  /** In bytes. Larger values are left to {@link Point}, one at a time. */
  private static final int LARGEST = 16 << 10;

  /** The value of a key that there is comes as null if it is too large. */
  private static final String SELECT =
      """
      SELECT m.revision, m.compacted, v.key, v.id, v.create_revision, v.version, v.lease,
        (SELECT CASE WHEN octet_length(l.value) <= %d THEN l.value END FROM log l WHERE l.id = v.id)
      FROM meta m LEFT JOIN live v ON v.key = ANY (?)"""
          .formatted(LARGEST);

  private final Readers readers;
  private final Queue<Waiting> queue = new ConcurrentLinkedQueue<>();
  private final Semaphore statements = new Semaphore(STATEMENTS);

  SharedPoints(Readers readers) {
    this.readers = readers;
  }

  /** Someone who wants a key. */
  private record Waiting(Bytes key, CompletableFuture<@Nullable Point> point) {}

  /** What a statement has found; a value that is too large is not among the heads. */
  private record Found(long revision, long compacted, Map<Bytes, Head> heads, List<Bytes> tooLarge)
      implements Readers.Answer {

    @Nullable Point of(Bytes key) {
      return tooLarge.contains(key) ? null : new Point(revision, compacted, heads.get(key));
    }
  }

  /** Answers null if the value is large. */
  @Nullable Point read(Bytes key) throws SQLException {
    CompletableFuture<@Nullable Point> point = new CompletableFuture<>();
    queue.add(new Waiting(key, point));
    if (statements.tryAcquire()) {
      // Not by this thread: when its client gives up, the others' statement must go on.
      Thread.ofVirtual().name("points").start(this::readForAll);
    }
    try {
      return point.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new SQLException("the request was given up", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof SQLException cause) {
        throw new SQLException(cause.getMessage(), cause.getSQLState(), cause);
      }
      throw new SQLException(e.getCause());
    }
  }

  /** Reads until nobody waits any more. */
  private void readForAll() {
    do {
      try {
        List<Waiting> some = next();
        while (!some.isEmpty()) {
          read(some);
          some = next();
        }
      } finally {
        statements.release();
      }
      // Whoever came after the last look and before the release is still waiting.
    } while (!queue.isEmpty() && statements.tryAcquire());
  }

  private List<Waiting> next() {
    List<Waiting> some = new ArrayList<>();
    while (some.size() < MOST_KEYS) {
      Waiting waiting = queue.poll();
      if (waiting == null) {
        break;
      }
      some.add(waiting);
    }
    return some;
  }

  private void read(List<Waiting> some) {
    try {
      Found found = readers.single(session -> select(session, some));
      some.forEach(waiting -> waiting.point.complete(found.of(waiting.key)));
    } catch (SQLException | RuntimeException | Error e) {
      some.forEach(waiting -> waiting.point.completeExceptionally(e));
    }
  }

  private static Found select(Session session, List<Waiting> some) throws SQLException {
    PreparedStatement select = session.prepare(SELECT);
    byte[][] keys = some.stream().map(waiting -> waiting.key.array()).toArray(byte[][]::new);
    select.setArray(1, session.connection().createArrayOf("bytea", keys));
    Map<Bytes, Head> heads = new HashMap<>();
    List<Bytes> tooLarge = new ArrayList<>();
    long revision = 0;
    long compacted = 0;
    try (ResultSet rows = select.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the table meta is empty");
      }
      do {
        revision = rows.getLong(1);
        compacted = rows.getLong(2);
        long id = rows.getLong(4);
        if (id != 0) {
          Bytes key = Rows.bytes(rows, 3);
          if (rows.getBytes(8) == null) {
            tooLarge.add(key);
          } else {
            heads.put(key, new Head(id, Rows.keyValue(key, rows, 4)));
          }
        }
      } while (rows.next());
    }
    return new Found(revision, compacted, heads, tooLarge);
  }
}
