package io.harikube.ops;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class AutoCompactorTest {
  private final ScheduledExecutorService scheduler = Executors.newSingleThreadScheduledExecutor();
  private final StubStore store = new StubStore();

  @AfterEach
  void stop() {
    scheduler.shutdownNow();
  }

  private AutoCompactor compactor(long minRetain) {
    return new AutoCompactor(store, minRetain, Duration.ofMinutes(1), scheduler);
  }

  @Test
  void keepsAnIntervalAndTheLastRevisions() {
    store.revision = 50;
    AutoCompactor compactor = compactor(100);
    store.revision = 120;
    compactor.turn();
    assertThat(store.compactions).as("of 120 revisions 100 stay").containsExactly(20L);
    store.revision = 5000;
    compactor.turn();
    assertThat(store.compactions).as("what the turn before saw").containsExactly(20L, 120L);
    compactor.turn();
    assertThat(store.compactions).containsExactly(20L, 120L, 4900L);
    compactor.turn();
    assertThat(store.compactions).as("nothing has happened since").hasSize(3);
  }

  @Test
  void aFailureIsTheNextTurnsWork() {
    store.revision = 2000;
    AutoCompactor compactor = compactor(10);
    store.mood = StubStore.Mood.UNREACHABLE;
    compactor.turn();
    store.mood = StubStore.Mood.WELL;
    compactor.turn();
    assertThat(store.compactions).containsExactly(1990L);
  }

  @Test
  void oneCompactionAtATime() {
    store.revision = 2000;
    AutoCompactor compactor = compactor(10);
    CompletableFuture<Long> slow = new CompletableFuture<>();
    store.compaction = slow;
    compactor.turn();
    store.revision = 3000;
    compactor.turn();
    compactor.turn();
    assertThat(store.compactions).hasSize(1);
    slow.complete(3000L);
    compactor.turn();
    assertThat(store.compactions).containsExactly(1990L, 2000L);
  }
}
