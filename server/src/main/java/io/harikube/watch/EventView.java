package io.harikube.watch;

import io.harikube.store.Event;

/**
 * What a watch wants to see of the events in its range. Watches with the same range and the same
 * view are sent the same lists.
 *
 * @param previous with the key before the change
 * @param puts events that set a key
 * @param deletes events that delete a key
 */
record EventView(boolean previous, boolean puts, boolean deletes) {
  /** How many views there are. */
  static final int COUNT = 8;

  static EventView of(WatchRequest request) {
    return new EventView(request.previous(), !request.noPut(), !request.noDelete());
  }

  boolean wants(Event event) {
    return event.isDelete() ? deletes : puts;
  }

  /** A number for this view, from 0 to below {@link #COUNT}. */
  int index() {
    return (previous ? 4 : 0) + (puts ? 2 : 0) + (deletes ? 1 : 0);
  }
}
