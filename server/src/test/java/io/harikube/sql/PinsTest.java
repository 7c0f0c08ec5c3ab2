package io.harikube.sql;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Await;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The compaction, and those who copy the log. */
final class PinsTest {
  private final Pins pins = new Pins(() -> 1);
  private final AtomicReference<Pins.@Nullable Pin> step = new AtomicReference<>();

  private Thread compact() {
    return Thread.ofPlatform()
        .start(
            () -> {
              try {
                step.set(pins.step());
              } catch (InterruptedException e) {
                throw new AssertionError(e);
              }
            });
  }

  private boolean hold() throws InterruptedException {
    return pins.hold(Duration.ZERO);
  }

  @Test
  void aCopyBeginsBetweenTwoSteps() throws InterruptedException {
    compact().join();
    assertThat(hold()).isFalse();
    requireNonNull(step.get()).close();
    assertThat(hold()).isTrue();
    assertThat(hold()).isTrue();
    Thread compaction = compact();
    Await.until("the compaction to wait", () -> compaction.getState() == Thread.State.WAITING);
    pins.release();
    assertThat(compaction.isAlive()).isTrue();
    pins.release();
    compaction.join();
  }

  @Test
  void copiesThatFollowEachOtherDoNotHoldTheCompactionForGood() throws InterruptedException {
    assertThat(hold()).isTrue();
    Thread compaction = compact();
    Await.until("the compaction to wait", () -> compaction.getState() == Thread.State.WAITING);
    assertThat(hold()).isFalse();
    pins.release();
    compaction.join();
    requireNonNull(step.get()).close();
    assertThat(hold()).as("before the compaction that had to wait is done").isFalse();
    pins.rest();
    assertThat(hold()).isTrue();
  }
}
