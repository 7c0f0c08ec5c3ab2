package io.harikube.sql;

import io.harikube.store.Bytes;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads single keys. A few threads of the platform do nothing else, on connections that nobody else
 * takes: who asks for one key waits for others who do, and never for those who read a great deal or
 * hold virtual threads. A thread takes whatever keys wait and reads them at once, as far as the
 * database has use for that. Each is answered by a statement that began after it was asked for.
 */
final class Points implements AutoCloseable {
  private static final long CLOSING_MILLIS = 2_000;

  /** Reads keys, each in a statement that need not be its own. */
  interface Select {
    Found read(Session session, List<Bytes> keys) throws SQLException;
  }

  /**
   * What has been found.
   *
   * @param revision the lowest of the points
   * @param points in the order of the keys; null for a value that is too large
   */
  record Found(long revision, List<@Nullable Point> points) implements Readers.Answer {}

  /** Someone who wants a key. */
  private record Waiting(Bytes key, CompletableFuture<@Nullable Point> point) {}

  private final Readers readers;
  private final int mostKeys;
  private final Select select;
  private final Function<SQLException, Failure> failure;
  private final BlockingQueue<Waiting> queue = new LinkedBlockingQueue<>();
  private final List<Thread> threads;
  private boolean started;
  private volatile boolean closed;

  /**
   * @param readers has a connection for each thread
   * @param mostKeys how many keys are read together
   * @param failure what the database has failed with
   */
  Points(
      Readers readers,
      int threads,
      int mostKeys,
      Select select,
      Function<SQLException, Failure> failure) {
    this.failure = failure;
    this.readers = readers;
    this.mostKeys = mostKeys;
    this.select = select;
    this.threads =
        IntStream.range(0, threads)
            .mapToObj(
                i -> Thread.ofPlatform().daemon().name("points-" + i).unstarted(this::readForAll))
            .toList();
  }

  /**
   * Reads a key.
   *
   * @return completed by a thread that must not be held up; with null if the value is too large to
   *     be read with others, with an SQLException if it could not be read
   */
  CompletableFuture<@Nullable Point> read(Bytes key) {
    CompletableFuture<@Nullable Point> point = new CompletableFuture<>();
    queue.add(new Waiting(key, point));
    if (!started) {
      start();
    }
    if (closed) {
      refuseAll(new SQLException("the database is closed"));
    }
    return point;
  }

  private synchronized void start() {
    if (!started && !closed) {
      started = true;
      threads.forEach(Thread::start);
    }
  }

  private void readForAll() {
    List<Waiting> some = new ArrayList<>(mostKeys);
    try {
      while (!closed) {
        some.add(queue.take());
        queue.drainTo(some, mostKeys - 1);
        read(some);
        some.clear();
      }
    } catch (InterruptedException e) {
      // It is closed.
    }
  }

  private void read(List<Waiting> some) {
    List<Bytes> keys = some.stream().map(Waiting::key).toList();
    Found found;
    try {
      found = readers.single(session -> select.read(session, keys));
    } catch (SQLException e) {
      refuse(some, e);
      return;
    } catch (RuntimeException | Error e) {
      some.forEach(waiting -> waiting.point.completeExceptionally(e));
      return;
    }
    for (int i = 0; i < some.size(); i++) {
      some.get(i).point.complete(found.points.get(i));
    }
  }

  /** A key that cannot be read is the fault of that key, or nobody can read now. */
  private void refuse(List<Waiting> some, SQLException e) {
    if (failure.apply(e) != Failure.REFUSED) {
      some.forEach(waiting -> waiting.point.completeExceptionally(e));
      // They have waited for the database as long as these have.
      refuseAll(e);
    } else if (some.size() > 1) {
      some.forEach(waiting -> read(List.of(waiting)));
    } else {
      some.getFirst().point.completeExceptionally(e);
    }
  }

  private void refuseAll(SQLException e) {
    for (Waiting next = queue.poll(); next != null; next = queue.poll()) {
      next.point.completeExceptionally(e);
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      closed = true;
    }
    threads.forEach(Thread::interrupt);
    try {
      for (Thread thread : threads) {
        thread.join(CLOSING_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    refuseAll(new SQLException("the database is closed"));
  }
}
