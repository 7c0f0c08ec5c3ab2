package io.harikube.store;

import java.util.List;
import java.util.Map;

/**
 * Says which tasks a change makes necessary. Called by the store's writer, within the transaction
 * of the change: it must neither block nor throw, and has no effect but what it tells the sink. A
 * change that comes to nothing takes its tasks with it.
 */
public interface TaskRules {

  /** Nothing ever has to be done. */
  TaskRules NONE =
      new TaskRules() {
        @Override
        public void put(
            Bytes key,
            Map<AttributeName, String> before,
            Map<AttributeName, String> after,
            Sink sink) {}

        @Override
        public boolean wantsDeleted(Bytes key, boolean watched) {
          return false;
        }

        @Override
        public void deleted(Bytes key, Bytes value, Map<AttributeName, String> before, Sink sink) {}
      };

  /** Where tasks go. */
  interface Sink {
    void add(Task task);

    /**
     * Adds a task if, once all changes of the transaction are made, any key has this attribute.
     *
     * @param values those that it may have; empty for any
     */
    void addIf(AttributeName name, List<String> values, Task task);

    /** Tasks about this subject wait no longer. */
    void wake(String subject);
  }

  /**
   * A key has been put. Called only if a {@link AttributeName#isWatched} attribute was there before
   * or is there now.
   *
   * @param before all attributes that it had; none if it was not there
   * @param after all that it has
   */
  void put(
      Bytes key, Map<AttributeName, String> before, Map<AttributeName, String> after, Sink sink);

  /**
   * Whether {@link #deleted} is to be called for this key.
   *
   * @param watched whether any key of the store may have a watched attribute
   */
  boolean wantsDeleted(Bytes key, boolean watched);

  /**
   * A key has been deleted.
   *
   * @param value the last one
   * @param before all attributes that it had
   */
  void deleted(Bytes key, Bytes value, Map<AttributeName, String> before, Sink sink);
}
