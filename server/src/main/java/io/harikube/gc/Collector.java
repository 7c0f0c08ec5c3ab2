package io.harikube.gc;

import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.Kinds;
import io.harikube.log.RareLine;
import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.Task;
import io.harikube.store.Tasks;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Does the tasks of garbage collection that the store keeps, until there are none, and waits for
 * more.
 *
 * <p>Every task may be done again from its beginning: what it has changed is not changed once more.
 * Tasks about the same owner are done one after the other, in their order.
 */
public final class Collector implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Collector.class);
  private static final RareLine FAILED =
      new RareLine(
          LOG,
          Level.WARN,
          Duration.ofSeconds(10),
          "a task of garbage collection is done again: {}");

  /** So many tasks are read at once. */
  private static final int TASKS = 256;

  /** So many tasks are done at once. */
  private static final int TASK_THREADS = 16;

  private static final long CLOSE_SECONDS = 10;

  private static final long IDLE_MILLIS = 5_000;
  private static final long RETRY_MILLIS = 500;
  private static final long FIRST_RETRY_MILLIS = 100;
  private static final long LAST_RETRY_MILLIS = 60_000;

  /** So many that wait are woken at once to be looked at; more when these have been. */
  private static final int SWEEP_STEP = 64;

  /** So long the next ones wait, at most, if there is always something else to do. */
  private static final long SWEEP_STEP_NANOS = TimeUnit.SECONDS.toNanos(1);

  private static final long SWEPT = -1;

  /** So often all that waits is looked at, in case the database has lost what was to wake it. */
  private static final long SWEEP_NANOS = TimeUnit.MINUTES.toNanos(10);

  /** Its place is taken since a collector has been at work without a break. */
  private static final AttributeName COLLECTING = AttributeName.added("collecting");

  private final Store store;
  private final Tasks tasks;
  private final Rules rules;
  private final KeySpace keys;
  private final Judge judge;
  private final TaskSteps steps;
  private final Mode mode;
  private final boolean adopt;
  private final Counts counts;
  private final Semaphore wake = new Semaphore(0);

  /** Threads of their own: reading a database holds one up, which nobody else is to wait for. */
  private final ExecutorService taskThreads = threads("gc-task", TASK_THREADS);

  /** Tasks that are being done, and the owners that they are about. */
  private final Set<Long> running = ConcurrentHashMap.newKeySet();

  private final Set<String> subjects = ConcurrentHashMap.newKeySet();

  /** Tasks that have failed: they do not hold up the others. */
  private final Map<Long, Retry> failed = new ConcurrentHashMap<>();

  /** When a task is done again, in the time of the JVM, and after which time. */
  private record Retry(long due, long millis) {
    static Retry after(@Nullable Retry last) {
      long millis =
          last == null ? FIRST_RETRY_MILLIS : Math.min(2 * last.millis, LAST_RETRY_MILLIS);
      return new Retry(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis), millis);
    }

    boolean isDue() {
      return System.nanoTime() - due >= 0;
    }
  }

  private final Thread thread = Thread.ofPlatform().daemon().name("gc").unstarted(this::run);
  private volatile boolean prepared;
  private volatile boolean closed;

  /** The last task that was woken to be looked at; {@link #SWEPT} if all have been. */
  private volatile long swept = SWEPT;

  /** Whether all that waits is to be woken, from the first on. */
  private volatile boolean sweepAgain;

  private long sweptAt = System.nanoTime();

  private Collector(
      Store store,
      Rules rules,
      KeySpace keys,
      Kinds kinds,
      DeletionHooks hooks,
      InstantSource clock,
      Mode mode,
      boolean adopt,
      Counts counts) {
    this.store = store;
    this.tasks = store.tasks();
    this.rules = rules;
    this.keys = keys;
    this.mode = mode;
    this.adopt = adopt;
    this.counts = counts;
    Objects objects = new Objects(store, keys, hooks, clock, counts, mode == Mode.DRY_RUN);
    this.judge = new Judge(tasks, keys, kinds, objects, counts);
    this.steps = new TaskSteps(tasks, rules, keys, objects, judge, () -> closed);
  }

  /**
   * Begins to collect, on threads of its own. To be called before any client writes.
   *
   * @param adopt whether what had lost its owners before anybody collected goes as well
   * @throws CompletionException if it cannot be noted that nobody collects
   */
  public static Collector start(
      Store store,
      Rules rules,
      KeySpace keys,
      Kinds kinds,
      DeletionHooks hooks,
      InstantSource clock,
      Mode mode,
      boolean adopt,
      Counts counts) {
    Collector collector =
        new Collector(store, rules, keys, kinds, hooks, clock, mode, adopt, counts);
    boolean collecting = store.gathered().contains(COLLECTING);
    if (mode != Mode.ON && collecting) {
      // Before there is anything that is not collected.
      store.forget(List.of(COLLECTING)).join();
    }
    if (mode != Mode.OFF) {
      if (mode != Mode.ON || !collecting) {
        // What has lost its owners by now has done so before: what was left to be done about it by
        // somebody who collected, or who only said what he would do, is not done.
        store.tasks().clear().join();
      }
      rules.begin();
      kinds.onDefined(collector::defined);
    }
    collector.thread.start();
    return collector;
  }

  private void run() {
    try {
      retry(this::prepare);
      prepared = true;
      if (mode == Mode.OFF) {
        return;
      }
      tasks.onReady(wake::release);
      long sweep = System.nanoTime();
      while (!closed) {
        retry(this::begin);
        long patience = failed.isEmpty() ? IDLE_MILLIS : FIRST_RETRY_MILLIS;
        if (wake.tryAcquire(patience, TimeUnit.MILLISECONDS)) {
          wake.drainPermits();
        }
        if (System.nanoTime() - sweep > SWEEP_NANOS) {
          swept = 0;
          sweep = System.nanoTime();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  static ExecutorService threads(String name, int most) {
    return Executors.newFixedThreadPool(
        most, Thread.ofPlatform().daemon().name(name + "-", 0).factory());
  }

  /** Something that is done again until it does not fail. */
  private interface Attempt {
    void run() throws InterruptedException;
  }

  private void retry(Attempt attempt) throws InterruptedException {
    while (!closed) {
      try {
        attempt.run();
        return;
      } catch (RuntimeException e) { // whatever it is: without this thread nothing is collected
        failed(e);
        TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
      }
    }
  }

  private void failed(RuntimeException e) {
    if (!closed) {
      counts.add(Counts.What.ERRORS);
      FAILED.write(e.toString());
    }
  }

  /** What is waited for may take long, at the first start: whoever stops is not held up. */
  private static <T extends @Nullable Object> T await(CompletableFuture<T> future)
      throws InterruptedException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw new CompletionException(e.getCause());
    }
  }

  private void prepare() throws InterruptedException {
    if (mode == Mode.OFF) {
      return;
    }
    Set<AttributeName> gathered = store.gathered();
    boolean fresh = !gathered.contains(COLLECTING);
    if (!gathered.contains(Edges.GATHERED)) {
      await(store.gather(keys.all(), List.of(Edges.GATHERED)));
    }
    rules.complete();
    // What was to wake them may have happened before there were rules.
    swept = 0;
    if (fresh) {
      new FirstLook(store, keys, judge, rules, () -> closed).run(adopt);
    }
    if (fresh && mode == Mode.ON) {
      await(store.gather(new KeyRange(Bytes.EMPTY, Bytes.EMPTY), List.of(COLLECTING)));
    }
  }

  /** Begins the tasks that can be begun. */
  private void begin() throws InterruptedException {
    if (running.size() > TASKS / 2) {
      return; // the next that ends has this asked again, and many are read at once
    }
    int most = TASKS + running.size() + failed.size();
    List<Task> ready = tasks.ready(most);
    if (ready.size() < most) {
      // The end of one may have been noted though nobody has heard of it.
      failed.keySet().retainAll(ready.stream().map(Task::id).toList());
    }
    Map<Task, List<Long>> all = new HashMap<>();
    ready.forEach(task -> all.computeIfAbsent(sort(task), _ -> new ArrayList<>()).add(task.id()));
    Set<String> before = new HashSet<>();
    for (Task task : ready) {
      if (closed || running.size() >= TASKS) {
        break;
      }
      boolean inOrder = isInOrder(task);
      boolean first = !inOrder || before.add(task.subject());
      if (first && isDue(task) && (!inOrder || subjects.add(task.subject()))) {
        List<Long> same = all.getOrDefault(sort(task), List.of());
        running.add(task.id());
        taskThreads.execute(() -> work(task, same));
      }
    }
    sweep(ready.size() - failed.size());
  }

  /** The same for all tasks by which the same is done. */
  private static Task sort(Task task) {
    return Task.of(task.kind(), task.subject(), task.key());
  }

  /** Wakes some of what waits: all at once would be before everything that is new. */
  private void sweep(int ready) throws InterruptedException {
    if (sweepAgain) {
      sweepAgain = false;
      swept = 0;
    }
    long last = swept;
    if (last == SWEPT || (ready >= SWEEP_STEP && System.nanoTime() - sweptAt < SWEEP_STEP_NANOS)) {
      return;
    }
    swept = await(tasks.wakeAfter(last, SWEEP_STEP));
    sweptAt = System.nanoTime();
  }

  private boolean isDue(Task task) {
    Retry retry = failed.get(task.id());
    return !running.contains(task.id()) && (retry == null || retry.isDue());
  }

  /** Whether it is done after those about the same owner that were there before. */
  private static boolean isInOrder(Task task) {
    Work work = Work.of(task);
    return work != null && work.kind() != Work.Kind.LOOK;
  }

  /**
   * Does a task.
   *
   * @param same tasks that there were before by which the same is done: they are done with it
   */
  private void work(Task task, List<Long> same) {
    boolean again = true;
    try {
      again = !steps.run(task);
      if (!again && isInOrder(task)) {
        remove(same.stream().filter(id -> id > task.id()).toList());
      }
    } catch (StoreException | CompletionException e) {
      failed(e);
      sweepAgain = true; // it may wait already, and for what has come meanwhile
    } catch (RuntimeException | Error e) {
      LOG.error("a task of garbage collection failed", e);
      sweepAgain = true;
    } finally {
      if (again) {
        failed.compute(task.id(), (_, last) -> Retry.after(last));
      } else {
        failed.remove(task.id());
      }
      if (isInOrder(task)) {
        subjects.remove(task.subject());
      }
      running.remove(task.id());
      wake.release();
    }
  }

  /** Removes tasks that need not be done; if that fails, they are done in vain. */
  private void remove(List<Long> ids) {
    if (ids.isEmpty()) {
      return;
    }
    try {
      tasks.done(ids).join();
    } catch (StoreException | CompletionException e) {
      failed(e);
    }
  }

  /** Whether there is nothing to be done but what waits for something. */
  boolean isIdle() {
    return prepared
        && swept == SWEPT
        && !sweepAgain
        && running.isEmpty()
        && failed.isEmpty()
        && tasks.ready(1).isEmpty()
        && running.isEmpty();
  }

  /** Has objects looked at again that wait for a kind. */
  private void defined(String group, String kind) {
    CompletableFuture<Void> woken = tasks.wake(Set.of(Judge.kindSubject(group, kind)));
    var _ =
        woken.whenComplete(
            (_, failure) -> {
              if (failure != null) {
                FAILED.write(failure.getMessage());
              }
            });
  }

  /** What is being done ends by itself, at the next object. */
  private static boolean ended(ExecutorService threads) {
    try {
      return threads.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    taskThreads.shutdown();
    if (!ended(taskThreads)) {
      LOG.warn("garbage collection goes on while the store is being closed");
    }
    steps.close();
  }
}
