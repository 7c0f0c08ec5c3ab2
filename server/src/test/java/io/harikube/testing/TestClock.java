package io.harikube.testing;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.concurrent.atomic.AtomicLong;

/** A clock that stands still until a test moves it. Any thread may read and move it. */
public final class TestClock implements InstantSource {
  private final AtomicLong millis = new AtomicLong(1_750_000_000_000L);

  @Override
  public Instant instant() {
    return Instant.ofEpochMilli(millis.get());
  }

  @Override
  public long millis() {
    return millis.get();
  }

  public void advance(Duration duration) {
    millis.addAndGet(duration.toMillis());
  }
}
