package io.harikube.store;

import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The tasks that are to be done, kept durably with the keys: see {@link TaskRules}. Calls that
 * answer a value block, and see everything that had been acknowledged when they were made; all fail
 * with {@link StoreException}.
 */
public interface Tasks {

  /** Of a store that has none. */
  Tasks NONE =
      new Tasks() {
        @Override
        public List<Task> ready(int limit) {
          return List.of();
        }

        @Override
        public List<Task> about(Collection<String> subjects) {
          return List.of();
        }

        @Override
        public long count(boolean waiting) {
          return 0;
        }

        @Override
        public List<Bytes> keysWith(
            AttributeName name, List<String> values, Bytes after, int limit) {
          return List.of();
        }

        @Override
        public CompletableFuture<Void> add(List<Task> tasks) {
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> park(Task task) {
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> parkOnce(Task task) {
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> wake(Collection<String> subjects) {
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Long> wakeAfter(long id, int limit) {
          return CompletableFuture.completedFuture(-1L);
        }

        @Override
        public CompletableFuture<Void> clear() {
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> done(Collection<Long> ids) {
          return CompletableFuture.completedFuture(null);
        }

        @Override
        public void onReady(Runnable listener) {}
      };

  /** The first tasks that do not wait, in their order. */
  List<Task> ready(int limit);

  /** All tasks about these subjects that do not wait, in their order. */
  List<Task> about(Collection<String> subjects);

  /** How many tasks there are that wait, or that do not. */
  long count(boolean waiting);

  /**
   * The first keys that have an attribute now, in their order.
   *
   * @param values those that it may have; empty for any
   * @param after the keys are behind this one; empty for all
   */
  List<Bytes> keysWith(AttributeName name, List<String> values, Bytes after, int limit);

  /** Adds tasks. */
  CompletableFuture<Void> add(List<Task> tasks);

  /**
   * Has a task wait, with this kind and about this subject, until that is woken. One with id 0 is
   * added.
   */
  CompletableFuture<Void> park(Task task);

  /** The same; if another such task waits already, with this key, this one is removed instead. */
  CompletableFuture<Void> parkOnce(Task task);

  /** Has the tasks about these subjects wait no longer: some after the other, if they are many. */
  CompletableFuture<Void> wake(Collection<String> subjects);

  /**
   * Has the first of the tasks that wait do so no longer.
   *
   * @param id those behind this one; 0 for all
   * @param limit so many at most
   * @return the last that has been woken; negative if none waits behind {@code id}
   */
  CompletableFuture<Long> wakeAfter(long id, int limit);

  /** Removes all tasks. */
  CompletableFuture<Void> clear();

  /** Removes tasks. */
  CompletableFuture<Void> done(Collection<Long> ids);

  /**
   * Has a listener called after each commit that may have made a task ready; by the writer's
   * thread, which must not be held up.
   */
  void onReady(Runnable listener);
}
