package io.harikube.store;

import java.time.Instant;
import java.time.InstantSource;

/**
 * The wall clock as it was when this was made, and from then on the time that passes, whatever the
 * wall clock is set to meanwhile. What is written down of it means something to the next process,
 * too.
 */
public final class MonotonicClock implements InstantSource {
  private final Instant start = InstantSource.system().instant();
  private final long startNanos = System.nanoTime();

  @Override
  public Instant instant() {
    return start.plusNanos(System.nanoTime() - startNanos);
  }
}
