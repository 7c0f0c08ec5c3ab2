package io.harikube.watch;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** The threads of a hub, run by hand on the thread of the test: a step of one of them at a time. */
final class ManualThreads {
  /** The interval of the hub's progress ticks, by which they are told from other timers. */
  static final Duration TICK = Duration.ofDays(1);

  final ArrayDeque<Runnable> dispatcher = new ArrayDeque<>();
  final List<Runnable> readers = new ArrayList<>();
  final List<Runnable> timers = new ArrayList<>();
  final List<Duration> pauses = new ArrayList<>();
  private final List<Runnable> ticks = new ArrayList<>();
  private final Random random;

  ManualThreads(Random random) {
    this.random = random;
  }

  HubThreads threads() {
    return new HubThreads(dispatcher::add, readers::add, this::after, 1, () -> {});
  }

  private void after(Duration delay, Runnable task) {
    if (delay.equals(TICK)) {
      ticks.add(task);
    } else {
      timers.add(task);
      pauses.add(delay);
    }
  }

  boolean dispatch() {
    Runnable task = dispatcher.poll();
    if (task != null) {
      task.run();
    }
    return task != null;
  }

  boolean read() {
    return runAny(readers);
  }

  boolean time() {
    return runAny(timers);
  }

  private boolean runAny(List<Runnable> tasks) {
    if (tasks.isEmpty()) {
      return false;
    }
    tasks.remove(random.nextInt(tasks.size())).run();
    return true;
  }

  void tick() {
    List<Runnable> due = List.copyOf(ticks);
    ticks.clear();
    due.forEach(Runnable::run);
  }

  /** Runs all there is to run, but no timers. */
  void settle() {
    boolean busy = true;
    while (busy) {
      busy = dispatch();
      busy |= read();
    }
  }
}
