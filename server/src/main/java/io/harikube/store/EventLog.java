package io.harikube.store;

import java.util.List;
import java.util.function.Consumer;

/** The history of a store as watches need it. */
public interface EventLog {

  /**
   * Calls {@code listener} after every commit that changed something, on the writer's thread, in
   * order, before the operations of that commit are acknowledged. The listener must neither block
   * nor throw. To be called once, before the store serves anything.
   *
   * @return the current revision: the first commit that the listener gets begins at the next one
   */
  long subscribe(Consumer<Commit> listener);

  /**
   * Reads events of the log, oldest first, from revision {@code from} up to revision {@code to},
   * all of each revision or none of it, as many revisions as fit into about {@code maxBytes}, but
   * at least one if there is one.
   *
   * @param range the keys whose events are wanted
   * @param previous whether the events need the key before the change
   * @return the events and how far they reach
   * @throws StoreException {@code COMPACTED} if {@code from} or a part of what follows has been
   *     compacted away; {@code UNAVAILABLE}
   */
  Page read(KeyRange range, long from, long to, boolean previous, int maxBytes);

  /**
   * The compacted revision: the oldest that can still be read; 0 if there was no compaction. May
   * block.
   *
   * @throws StoreException {@code UNAVAILABLE}
   */
  long compactedRevision();

  /**
   * A part of the log.
   *
   * @param events the events, in order
   * @param through all events up to and including this revision have been read
   */
  record Page(List<Event> events, long through) {}
}
