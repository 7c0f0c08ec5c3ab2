package io.harikube.ops;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Something that the database is asked, again and again. It is asked once at a time, on a thread of
 * its own, and who comes meanwhile gets the same answer: a database that hangs costs one thread and
 * one connection, however many want to know. Nobody waits longer than the patience, counted from
 * when the question was put: who asks a database that is known to hang is told so at once.
 *
 * <p>The thread is one of the platform: those that are virtual share a few carriers, which a
 * database in native code can hold.
 */
final class Question<T> {
  private final String name;
  private final Duration patience;
  private final Callable<T> text;
  private @Nullable Asked<T> last;

  private record Asked<T>(FutureTask<T> answer, long at) {}

  Question(String name, Duration patience, Callable<T> text) {
    this.name = name;
    this.patience = patience;
    this.text = text;
  }

  /**
   * @throws ExecutionException with what the question failed with
   */
  T ask() throws ExecutionException, TimeoutException, InterruptedException {
    Asked<T> asked = put();
    long left = patience.toNanos() - (System.nanoTime() - asked.at);
    return asked.answer.get(left, TimeUnit.NANOSECONDS);
  }

  private synchronized Asked<T> put() {
    Asked<T> known = last;
    if (known != null && !known.answer.isDone()) {
      return known;
    }
    Asked<T> asked = new Asked<>(new FutureTask<>(text), System.nanoTime());
    Thread.ofPlatform().daemon().name(name).start(asked.answer);
    last = asked;
    return asked;
  }
}
