package io.harikube.watch;

import io.harikube.store.Event;

/**
 * What a watch wants to see of the events in its range. Watches with the same range and the same
 * view are sent the same lists.
 *
 * @param previous with the key before the change
 * @param puts events that set a key
 * @param deletes events that delete a key
 * @param selection events by what their values are
 */
record EventView(boolean previous, boolean puts, boolean deletes, Selection selection) {
  /** How many views without a selection there are. */
  static final int COUNT = 8;

  static EventView of(WatchRequest request) {
    return new EventView(
        request.previous(), !request.noPut(), !request.noDelete(), request.selection());
  }

  boolean wants(Event event) {
    return wantsKind(event) && selection.wants(event);
  }

  /** Whether it wants such an event, whatever the values. */
  boolean wantsKind(Event event) {
    return event.isDelete() ? deletes : puts;
  }

  /** Whether it must see the key before the change to know what it wants. */
  boolean needsPrevious() {
    return previous || !selection.isAll();
  }

  /** A number for this view, without its selection, from 0 to below {@link #COUNT}. */
  int index() {
    return (previous ? 4 : 0) + (puts ? 2 : 0) + (deletes ? 1 : 0);
  }
}
