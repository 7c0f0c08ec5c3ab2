package io.harikube.store;

import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class MemoryBudgetTest {
  private final MemoryBudget budget = new MemoryBudget(100);

  /** A thread that waits for its share of the budget. */
  private final class Waiting {
    final MemoryBudget.Share share = budget.open();
    final CompletableFuture<Void> granted = new CompletableFuture<>();
    final Thread thread;

    Waiting(long bytes) {
      thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      share.restart(bytes);
                      granted.complete(null);
                    } catch (StoreException e) {
                      granted.completeExceptionally(e);
                    }
                  });
      Await.until(
          "the thread to wait or to get its share",
          () -> granted.isDone() || thread.getState() == Thread.State.WAITING);
    }
  }

  @Test
  void countsWhatIsHeld() {
    MemoryBudget.Share one = budget.open();
    MemoryBudget.Share other = budget.open();
    assertThat(one.tryGrow(30)).isTrue();
    assertThat(one.tryGrow(60)).isTrue();
    assertThat(one.tryGrow(10)).isTrue();
    assertThat(one.held()).isEqualTo(60);
    assertThat(other.tryGrow(41)).isFalse();
    assertThat(other.held()).isEqualTo(0);
    assertThat(other.tryGrow(40)).isTrue();
    assertThat(budget.used()).isEqualTo(100);
    one.close();
    one.close();
    assertThat(budget.used()).isEqualTo(40);
    assertThat(one.tryGrow(60)).isTrue();
    one.close();
    other.close();
    assertThat(budget.used()).isEqualTo(0);
  }

  @Test
  void aRestartLetsGoOfWhatTheShareHeld() {
    MemoryBudget.Share share = budget.open();
    assertThat(share.tryGrow(60)).isTrue();
    share.restart(100);
    assertThat(share.held()).isEqualTo(100);
    assertThat(budget.used()).isEqualTo(100);
    share.restart(10);
    assertThat(budget.used()).isEqualTo(10);
  }

  @Test
  void whatCanNeverBeIsRefused() {
    MemoryBudget.Share share = budget.open();
    assertThat(share.tryGrow(50)).isTrue();
    assertThat(share.tryGrow(101)).isFalse();
    assertThat(refusal(() -> share.restart(101))).isEqualTo(Reason.TOO_LARGE);
    assertThat(budget.used()).isEqualTo(0);
    share.restart(100);
  }

  @Test
  void waitersAreServedInTheOrderTheyCame() {
    MemoryBudget.Share holder = budget.open();
    assertThat(holder.tryGrow(100)).isTrue();
    Waiting large = new Waiting(90);
    Waiting small = new Waiting(10);
    Waiting last = new Waiting(60);
    assertThat(holder.tryGrow(100)).isTrue();
    holder.close();
    Await.answer(large.granted);
    Await.answer(small.granted);
    assertThat(last.granted).isNotDone();
    assertThat(budget.used()).isEqualTo(100);
    small.share.close();
    assertThat(last.granted).isNotDone();
    large.share.close();
    Await.answer(last.granted);
    assertThat(budget.used()).isEqualTo(60);
  }

  @Test
  void nobodyGrowsPastThoseWhoWait() {
    MemoryBudget.Share holder = budget.open();
    assertThat(holder.tryGrow(50)).isTrue();
    Waiting waiting = new Waiting(60);
    assertThat(budget.open().tryGrow(1)).isFalse();
    assertThat(holder.tryGrow(51)).isFalse();
    holder.close();
    Await.answer(waiting.granted);
  }

  @Test
  void oneThatGivesUpMakesWayForTheNext() {
    MemoryBudget.Share holder = budget.open();
    assertThat(holder.tryGrow(60)).isTrue();
    Waiting first = new Waiting(80);
    Waiting second = new Waiting(40);
    first.thread.interrupt();
    assertThat(refusal(() -> Await.answer(first.granted))).isEqualTo(Reason.UNAVAILABLE);
    Await.answer(second.granted);
    assertThat(budget.used()).isEqualTo(100);
    holder.close();
    second.share.close();
    assertThat(budget.used()).isEqualTo(0);
  }

  /** As answers use it: grow, fail to, start again; some are given up while they wait. */
  @Test
  void isNeverExceededAndForgetsNobody() throws Exception {
    for (long seed = 1; seed <= 20; seed++) {
      stress(seed);
    }
  }

  private void stress(long seed) throws Exception {
    AtomicLong held = new AtomicLong();
    List<Thread> threads = new CopyOnWriteArrayList<>();
    Random seeds = new Random(seed);
    try (var executor = Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      List<CompletableFuture<Void>> users = new ArrayList<>();
      for (int user = 0; user < 16; user++) {
        long userSeed = seeds.nextLong();
        users.add(
            CompletableFuture.runAsync(
                () -> {
                  threads.add(Thread.currentThread());
                  use(new Random(userSeed), held, threads);
                },
                executor));
      }
      users.forEach(Await::answer);
    }
    assertThat(held).hasValue(0);
    assertThat(budget.used()).as("seed %s", seed).isEqualTo(0);
  }

  private void use(Random random, AtomicLong held, List<Thread> threads) {
    for (int i = 0; i < 200; i++) {
      try (MemoryBudget.Share share = budget.open()) {
        long want = 1L + random.nextInt(100);
        long has = 0;
        while (has < want) {
          long next = Math.min(want, has + 1 + random.nextInt(40));
          if (share.tryGrow(next)) {
            check(held.addAndGet(next - has));
            has = next;
          } else {
            held.addAndGet(-has);
            has = 0;
            share.restart(want);
            check(held.addAndGet(want));
            has = want;
          }
          if (random.nextInt(20) == 0) {
            threads.get(random.nextInt(threads.size())).interrupt();
          }
        }
        held.addAndGet(-has);
      } catch (StoreException e) {
        assertThat(e.reason()).isEqualTo(Reason.UNAVAILABLE);
        assertThat(Thread.interrupted()).isTrue();
      }
    }
  }

  private void check(long held) {
    assertThat(held).isBetween(0L, budget.capacity());
  }

  @Test
  void smallAnswersDoNotWaitForLargeOnes() {
    MemoryBudget both = new MemoryBudget(40 << 20, 8 << 20);
    MemoryBudget.Share large = both.open();
    assertThat(large.tryGrow(32 << 20)).isTrue();
    assertThat(large.isLarge()).isTrue();
    MemoryBudget.Share small = both.open();
    assertThat(small.tryGrow(MemoryBudget.SMALL)).isTrue();
    assertThat(small.isLarge()).isFalse();
    assertThat(small.tryGrow(MemoryBudget.SMALL + 1)).isFalse();
    assertThat(both.used()).isEqualTo((32 << 20) + MemoryBudget.SMALL);
    large.close();
    assertThat(small.tryGrow(MemoryBudget.SMALL + 1)).isTrue();
    assertThat(both.used()).isEqualTo(MemoryBudget.SMALL + 1);
    small.close();
    small.restart(10);
    assertThat(both.used()).isEqualTo(10);
    small.close();
    assertThat(both.used()).isZero();
  }

  @Test
  void aClientLeavesRoomForTheSmallAnswersOfOthers() {
    MemoryBudget both = new MemoryBudget(8 << 20, 8 << 20);
    for (int i = 0; i < 10; i++) {
      MemoryBudget.Client greedy = both.client();
      int shares = 0;
      while (greedy.open().tryGrow(100 << 10)) {
        shares++;
      }
      assertThat(shares).isBetween(1, 40);
      assertThat(both.client().open().tryGrow(100 << 10)).isTrue();
    }
  }

  @Test
  void whoIsCancelledWaitsNoMoreAndGrowsNoMore() {
    MemoryBudget.Share holder = budget.open();
    assertThat(holder.tryGrow(100)).isTrue();
    Waiting first = new Waiting(60);
    Waiting second = new Waiting(10);
    holder.shrink(80);
    assertThat(budget.waiting()).isEqualTo(2);
    first.share.cancel();
    assertThat(refusal(() -> Await.answer(first.granted))).isEqualTo(Reason.UNAVAILABLE);
    Await.answer(second.granted);
    assertThat(budget.used()).isEqualTo(90);
    assertThat(refusal(() -> first.share.tryGrow(1))).isEqualTo(Reason.UNAVAILABLE);
  }
}
