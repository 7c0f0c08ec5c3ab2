package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.MemoryBudget;
import io.netty.util.concurrent.ImmediateEventExecutor;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class LaneTest {
  private static final int MOST = 100;
  private static final int FEW = 4;

  private final Lane.Kind kind = new Lane.Kind(MOST, FEW);
  private final Traffic traffic =
      new Traffic(
          new Limits(1, 1, 1, 1, 1, 1, 1, Duration.ofSeconds(1)),
          new MemoryBudget(1),
          new EventLoops(ImmediateEventExecutor.INSTANCE));
  private int running;

  /** What runs, in all lanes. */
  private final Queue<Runnable> ends = new ArrayDeque<>();

  private Lane lane() {
    return new Lane(kind, new Peer(traffic, ImmediateEventExecutor.INSTANCE));
  }

  private void run(Lane lane, int weight) {
    lane.run(
        weight,
        () -> {
          running += weight;
          ends.add(
              () -> {
                running -= weight;
                lane.ended(weight);
              });
        });
  }

  @Test
  void oneLaneLeavesHalfToOthers() {
    Lane greedy = lane();
    for (int i = 0; i < 1000; i++) {
      run(greedy, 1);
    }
    assertThat(running).isEqualTo(MOST / 2);
    Lane modest = lane();
    run(modest, 1);
    assertThat(running).isEqualTo(MOST / 2 + 1);
  }

  @Test
  void thereIsAlwaysRoomForALittle() {
    for (int i = 0; i < 100; i++) {
      Lane greedy = lane();
      for (int k = 0; k < 100; k++) {
        run(greedy, 1);
      }
    }
    int before = running;
    Lane modest = lane();
    for (int i = 0; i < FEW; i++) {
      run(modest, 1);
    }
    assertThat(running).isEqualTo(before + FEW);
  }

  /**
   * However many clients have heavy requests, what is handed over is bounded, and all have a turn.
   */
  @Test
  void whatIsHeavyWaitsForOthersAndIsNotForgotten() {
    Random random = new Random(7);
    List<Lane> lanes = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      lanes.add(lane());
    }
    int all = 0;
    int done = 0;
    for (int i = 0; i < 2000; i++) {
      run(lanes.get(random.nextInt(lanes.size())), 40);
      all++;
      assertThat(running).isLessThan(MOST + 40);
    }
    while (!ends.isEmpty()) {
      ends.remove().run();
      done++;
      assertThat(running).isLessThan(MOST + 40);
    }
    assertThat(done).isEqualTo(all);
    assertThat(running).isZero();
  }
}
