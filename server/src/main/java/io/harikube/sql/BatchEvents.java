package io.harikube.sql;

import io.harikube.store.Event;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The events of a batch, as long as they are few enough to be kept in memory. */
final class BatchEvents {
  private final int mostBytes;
  private @Nullable List<Event> events = new ArrayList<>();
  private long bytes;

  BatchEvents(int mostBytes) {
    this.mostBytes = mostBytes;
  }

  /**
   * Adds an event.
   *
   * @param complete whether it has the value of before; without it, none of them is kept
   */
  void add(Event event, boolean complete) {
    if (events == null) {
      return;
    }
    bytes += event.weight();
    if (!complete || bytes > mostBytes) {
      events = null;
    } else {
      events.add(event);
    }
  }

  /** All of them; null if they are too many, or too large. */
  @Nullable List<Event> all() {
    return events;
  }
}
