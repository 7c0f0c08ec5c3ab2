package io.harikube.e2e;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Waiting for what another process does, which says nothing when it is done. */
public final class Await {
  private static final Duration PAUSE = Duration.ofMillis(100);

  private Await() {}

  /**
   * Asks until the answer is true.
   *
   * @param what ends the sentence "not within 1 s: "
   * @throws IllegalStateException if it is not within the time; its cause is what the last question
   *     threw
   */
  public static void until(String what, Duration atMost, Callable<Boolean> question) {
    long deadline = System.nanoTime() + atMost.toNanos();
    @Nullable Exception last;
    do {
      try {
        if (question.call()) {
          return;
        }
        last = null;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException("interrupted while waiting: " + what, e);
      } catch (Exception e) { // Not there yet is said in many ways.
        last = e;
      }
      LockSupport.parkNanos(PAUSE.toNanos());
      if (Thread.currentThread().isInterrupted()) {
        throw new IllegalStateException("interrupted while waiting: " + what, last);
      }
    } while (System.nanoTime() < deadline);
    throw new IllegalStateException("not within " + atMost.toSeconds() + " s: " + what, last);
  }
}
