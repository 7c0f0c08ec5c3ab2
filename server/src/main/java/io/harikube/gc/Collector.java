package io.harikube.gc;

import io.harikube.gc.Objects.Again;
import io.harikube.gc.Objects.Blocked;
import io.harikube.gc.Objects.Found;
import io.harikube.gc.Objects.Gone;
import io.harikube.gc.Objects.Outcome;
import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.Edges.Finalizers;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.Kinds;
import io.harikube.kubernetes.ObjectKey;
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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
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

  /** So many dependents are read at once. */
  private static final int PAGE = 256;

  /** So many objects are in memory, and so many of the writer's transactions are ours. */
  private static final int OBJECTS = 16;

  /** So many tasks are done at once. */
  private static final int TASK_THREADS = 16;

  private static final long CLOSE_SECONDS = 10;

  private static final long IDLE_MILLIS = 5_000;
  private static final long RETRY_MILLIS = 500;
  private static final long FIRST_RETRY_MILLIS = 100;
  private static final long LAST_RETRY_MILLIS = 60_000;

  /** So often all that waits is looked at, in case the database has lost what was to wake it. */
  private static final long SWEEP_NANOS = TimeUnit.MINUTES.toNanos(10);

  /** Its place is taken since a collector has been at work without a break. */
  private static final AttributeName COLLECTING = AttributeName.added("collecting");

  private final Store store;
  private final Tasks tasks;
  private final Rules rules;
  private final KeySpace keys;
  private final Objects objects;
  private final Mode mode;
  private final boolean adopt;
  private final Counts counts;
  private final Semaphore wake = new Semaphore(0);

  /** Threads of their own: reading a database holds one up, which nobody else is to wait for. */
  private final ExecutorService taskThreads = threads("gc-task", TASK_THREADS);

  private final ExecutorService objectThreads = threads("gc-object", OBJECTS);

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
    this.objects = new Objects(store, keys, kinds, hooks, clock, counts, mode == Mode.DRY_RUN);
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
    if (mode != Mode.ON && store.gathered().contains(COLLECTING)) {
      // Before there is anything that is not collected.
      store.forget(List.of(COLLECTING)).join();
    }
    if (mode != Mode.OFF) {
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
          retry(() -> tasks.wakeAll().join());
          sweep = System.nanoTime();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static ExecutorService threads(String name, int most) {
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

  private void prepare() {
    if (mode == Mode.OFF) {
      return;
    }
    Set<AttributeName> gathered = store.gathered();
    boolean fresh = !gathered.contains(COLLECTING);
    if (!gathered.contains(Edges.GATHERED)) {
      store.gather(keys.all(), List.of(Edges.GATHERED)).join();
    }
    rules.complete();
    // What was to wake them may have happened before there were rules.
    tasks.wakeAll().join();
    if (fresh) {
      new FirstLook(store, keys, objects, rules).run(adopt);
    }
    if (fresh && mode == Mode.ON) {
      store.gather(new KeyRange(Bytes.EMPTY, Bytes.EMPTY), List.of(COLLECTING)).join();
    }
  }

  /** Begins the tasks that can be begun. */
  private void begin() {
    if (running.size() > TASKS / 2) {
      return; // the next that ends has this asked again, and many are read at once
    }
    Set<String> before = new HashSet<>();
    for (Task task : tasks.ready(TASKS + running.size() + failed.size())) {
      if (closed || running.size() >= TASKS) {
        return;
      }
      boolean inOrder = isInOrder(task);
      boolean first = !inOrder || before.add(task.subject());
      if (first && isDue(task) && (!inOrder || subjects.add(task.subject()))) {
        running.add(task.id());
        taskThreads.execute(() -> work(task));
      }
    }
  }

  private boolean isDue(Task task) {
    Retry retry = failed.get(task.id());
    return !running.contains(task.id()) && (retry == null || retry.isDue());
  }

  /** Whether it is done after those about the same owner that were there before. */
  private static boolean isInOrder(Task task) {
    return Work.of(task).kind() != Work.Kind.LOOK;
  }

  private void work(Task task) {
    boolean again = false;
    try {
      again = !run(task);
    } catch (StoreException | CompletionException e) {
      failed(e);
      again = true;
    } catch (RuntimeException | Error e) {
      LOG.error("a task of garbage collection failed", e);
      again = true;
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

  /** Answers whether the task has been dealt with. */
  private boolean run(Task task) {
    Work work = Work.of(task);
    return switch (work.kind()) {
      case LOOK -> look(task);
      case GONE -> {
        Gone gone = gone(task);
        yield each(task.subject(), work.hidden(), key -> look(key, gone, work.hidden()))
            && done(task);
      }
      case GONE_ORPHANING -> setFree(task) && done(task);
      case ORPHAN -> orphan(task, work);
      case FOREGROUND, FOREGROUND_WAIT -> foreground(task, work);
    };
  }

  private boolean look(Task task) {
    return switch (look(task.key(), null, false)) {
      case Objects.Done _ -> done(task);
      case Again _ -> false;
      case Blocked(String subject) -> parked(new Task(task.id(), task.kind(), subject, task.key()));
    };
  }

  /**
   * Has an object wait for a kind. It is looked at once more then: what it waits for may have come
   * between the look and the waiting, and would not be told again.
   */
  private boolean parked(Task task) {
    tasks.park(task).join();
    if (!(look(task.key(), null, false) instanceof Blocked)) {
      tasks.wake(Set.of(task.subject())).join();
    }
    return true;
  }

  /** First its losses are looked at, then itself: so none is missed in between. */
  private Outcome look(Bytes key, @Nullable Gone gone, boolean visible) {
    rules.awaitLoss(key);
    Outcome outcome = objects.look(key, gone, visible);
    if (!(outcome instanceof Blocked)) {
      rules.awaitLossNoMore(key);
    }
    return outcome;
  }

  private @Nullable Gone gone(Task task) {
    ObjectKey owner = keys.parse(task.key());
    return owner == null ? null : new Gone(task.subject(), owner);
  }

  private boolean orphan(Task task, Work work) {
    Found owner = objects.read(task.key());
    if (owner == null || !owner.uid().equals(task.subject())) {
      return done(task); // it has gone, and left a task if it was orphaning till the end
    }
    if (!owner.info().deleting() || !owner.info().finalizers().contains(Finalizers.ORPHAN)) {
      return done(task);
    }
    return setFree(task)
        && (!work.hidden()
            || objects.release(task.key(), task.subject(), Finalizers.ORPHAN)
                instanceof Objects.Done)
        && done(task);
  }

  /** Visible dependents, too: one may have been hidden when kube-controller-manager looked. */
  private boolean setFree(Task task) {
    return each(task.subject(), true, key -> objects.free(key, task.subject()));
  }

  private boolean foreground(Task task, Work work) {
    String uid = task.subject();
    if (objects.ending(task.key(), uid, Finalizers.FOREGROUND) == null) {
      rules.awaitNoMore(uid);
      return done(task);
    }
    if (work.kind() == Work.Kind.FOREGROUND && !each(uid, true, key -> look(key, null, true))) {
      return false;
    }
    // First it waits, then it is looked for what it waits for: so nothing is missed in between.
    rules.await(uid);
    Work wait = new Work(Work.Kind.FOREGROUND_WAIT, true);
    tasks.park(new Task(task.id(), wait.text(), uid, task.key())).join();
    if (!tasks.keysWith(Edges.owner(uid), Edges.OF_BLOCKING, Bytes.EMPTY, 1).isEmpty()) {
      return true;
    }
    if (!(objects.release(task.key(), uid, Finalizers.FOREGROUND) instanceof Objects.Done)) {
      tasks.wake(Set.of(uid)).join();
      return false;
    }
    rules.awaitNoMore(uid);
    return done(task);
  }

  /**
   * Deals with all dependents of an owner.
   *
   * @param visible whether also with those that are not hidden
   * @return whether all have been dealt with
   */
  private boolean each(String uid, boolean visible, Function<Bytes, Outcome> what) {
    List<String> values = visible ? Edges.OF_ALL : Edges.OF_HIDDEN;
    Bytes after = Bytes.EMPTY;
    boolean all = true;
    while (!closed) {
      List<Bytes> page = tasks.keysWith(Edges.owner(uid), values, after, PAGE);
      all &= page(page, what);
      if (page.size() < PAGE) {
        return all;
      }
      after = page.getLast();
    }
    return false;
  }

  private boolean page(List<Bytes> page, Function<Bytes, Outcome> what) {
    List<Future<Boolean>> all = new ArrayList<>(page.size());
    for (Bytes key : page) {
      all.add(objectThreads.submit(() -> isDone(key, what.apply(key))));
    }
    boolean done = true;
    for (Future<Boolean> one : all) {
      done &= get(one);
    }
    return done;
  }

  private static boolean get(Future<Boolean> one) {
    try {
      return one.get();
    } catch (java.util.concurrent.ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private boolean isDone(Bytes key, Outcome outcome) {
    return switch (outcome) {
      case Objects.Done _ -> true;
      case Again _ -> false;
      case Blocked(String subject) ->
          parked(new Task(0, new Work(Work.Kind.LOOK, true).text(), subject, key));
    };
  }

  private boolean done(Task task) {
    tasks.done(List.of(task.id())).join();
    return true;
  }

  /** Whether there is nothing to be done but what waits for something. */
  boolean isIdle() {
    return prepared
        && running.isEmpty()
        && failed.isEmpty()
        && tasks.ready(1).isEmpty()
        && running.isEmpty();
  }

  /** Has objects looked at again that wait for a kind. */
  private void defined(String group, String kind) {
    CompletableFuture<Void> woken = tasks.wake(Set.of(Objects.kindSubject(group, kind)));
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
    objectThreads.shutdown();
  }
}
