package io.harikube.gc;

import io.harikube.gc.Judge.Gone;
import io.harikube.gc.Objects.Found;
import io.harikube.gc.Outcome.Again;
import io.harikube.gc.Outcome.Blocked;
import io.harikube.gc.Outcome.Done;
import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.Edges.Finalizers;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.ObjectKey;
import io.harikube.log.RareLine;
import io.harikube.store.Bytes;
import io.harikube.store.Task;
import io.harikube.store.Tasks;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** What is done for each kind of task. Safe for many threads. */
final class TaskSteps implements AutoCloseable {

  private static final RareLine UNKNOWN =
      new RareLine(
          LoggerFactory.getLogger(TaskSteps.class),
          Level.WARN,
          Duration.ofMinutes(1),
          "a task of garbage collection is of a kind that this version does not know, {}: it is left"
              + " to one that does");

  /** So many dependents are read at once. */
  private static final int PAGE = 256;

  /**
   * So many objects are in memory, each of which may have a megabyte or two and is there several
   * times while it is changed; and so many of the writer's transactions are ours.
   */
  private static final int OBJECTS =
      Math.clamp(Runtime.getRuntime().maxMemory() / (16 << 20), 2, 16);

  private final Tasks tasks;
  private final Rules rules;
  private final KeySpace keys;
  private final Objects objects;
  private final Judge judge;
  private final BooleanSupplier closed;
  private final ExecutorService threads = Collector.threads("gc-object", OBJECTS);

  TaskSteps(
      Tasks tasks,
      Rules rules,
      KeySpace keys,
      Objects objects,
      Judge judge,
      BooleanSupplier closed) {
    this.tasks = tasks;
    this.rules = rules;
    this.keys = keys;
    this.objects = objects;
    this.judge = judge;
    this.closed = closed;
  }

  /** Answers whether the task has been dealt with; otherwise it is to be done again. */
  boolean run(Task task) {
    Work work = Work.of(task);
    if (work == null) {
      UNKNOWN.write(task.kind());
      tasks.park(task).join();
      return true;
    }
    return switch (work.kind()) {
      case LOOK -> look(task);
      case GONE -> {
        Gone gone = gone(task);
        yield each(task.subject(), work.hidden(), key -> judge.look(key, gone, work.hidden()))
            && done(task);
      }
      case GONE_ORPHANING -> setFree(task) && done(task);
      case ORPHAN -> orphan(task, work);
      case FOREGROUND, FOREGROUND_WAIT -> foreground(task, work);
    };
  }

  private boolean look(Task task) {
    return switch (judge.look(task.key(), null, false)) {
      case Done _ -> done(task);
      case Again _ -> false;
      case Blocked(String subject) -> parked(new Task(task.id(), task.kind(), subject, task.key()));
    };
  }

  /**
   * Has an object wait for a kind, or for the loss of an owner. It is looked at once more then:
   * what it waits for may have come between the look and the waiting, and would not be told again.
   */
  private boolean parked(Task task) {
    rules.awaitLoss(task.key());
    tasks.parkOnce(task).join();
    if (!(judge.look(task.key(), null, false) instanceof Blocked)) {
      tasks.wake(Set.of(task.subject())).join();
    }
    return true;
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
            || objects.release(task.key(), task.subject(), Finalizers.ORPHAN) instanceof Done)
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
    if (work.kind() == Work.Kind.FOREGROUND
        && !each(uid, true, key -> judge.look(key, null, true))) {
      return false;
    }
    // First it waits, then it is looked for what it waits for: so nothing is missed in between.
    rules.await(uid);
    Work wait = new Work(Work.Kind.FOREGROUND_WAIT, true);
    tasks.park(new Task(task.id(), wait.text(), uid, task.key())).join();
    if (!tasks.keysWith(Edges.owner(uid), Edges.OF_BLOCKING, Bytes.EMPTY, 1).isEmpty()) {
      return true;
    }
    if (!(objects.release(task.key(), uid, Finalizers.FOREGROUND) instanceof Done)) {
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
    while (!closed.getAsBoolean()) {
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
      all.add(threads.submit(() -> !closed.getAsBoolean() && isDone(key, what.apply(key))));
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
    } catch (ExecutionException e) {
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
      case Done _ -> true;
      case Again _ -> false;
      case Blocked(String subject) ->
          parked(new Task(0, new Work(Work.Kind.LOOK, true).text(), subject, key));
    };
  }

  private boolean done(Task task) {
    tasks.done(List.of(task.id())).join();
    return true;
  }

  @Override
  public void close() {
    threads.shutdown();
  }
}
