package io.harikube.watch;

import io.harikube.store.Event;
import java.util.ArrayList;
import java.util.List;

/**
 * Events of one or several whole revisions, in order; immutable, and shared by all watches that
 * want the same.
 *
 * @param bytes the weight of the events
 */
record Batch(List<Event> events, long bytes) {
  /** So many revisions etcd puts into a message for a watch that is behind. */
  private static final int MAX_REVISIONS = 1000;

  static final Batch EMPTY = new Batch(List.of(), 0);

  static Batch of(List<Event> events) {
    long bytes = 0;
    for (Event event : events) {
      bytes += event.weight();
    }
    return new Batch(events, bytes);
  }

  /**
   * Cuts events into batches of at most {@code maxBytes}, or of one revision if that is larger, and
   * of at most 1,000 revisions.
   */
  static List<Batch> split(List<Event> events, int maxBytes) {
    List<Batch> batches = new ArrayList<>();
    int start = 0;
    long bytes = 0;
    int revisions = 0;
    int i = 0;
    while (i < events.size()) {
      long revision = events.get(i).revision();
      int end = i;
      long more = 0;
      while (end < events.size() && events.get(end).revision() == revision) {
        more += events.get(end++).weight();
      }
      if (i > start && (bytes + more > maxBytes || revisions == MAX_REVISIONS)) {
        batches.add(new Batch(List.copyOf(events.subList(start, i)), bytes));
        start = i;
        bytes = 0;
        revisions = 0;
      }
      revisions++;
      bytes += more;
      i = end;
    }
    if (i > start) {
      batches.add(new Batch(start == 0 ? events : List.copyOf(events.subList(start, i)), bytes));
    }
    return batches;
  }

  boolean isEmpty() {
    return events.isEmpty();
  }

  long firstRevision() {
    return events.getFirst().revision();
  }

  long lastRevision() {
    return events.getLast().revision();
  }

  /** The part of this batch from {@code revision} on. */
  Batch from(long revision) {
    if (isEmpty() || firstRevision() >= revision) {
      return this;
    }
    int i = 0;
    while (i < events.size() && events.get(i).revision() < revision) {
      i++;
    }
    return i == events.size() ? EMPTY : of(events.subList(i, events.size()));
  }
}
