package io.harikube.watch;

import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All events of some consecutive revisions: the step in which the dispatcher hands out commits.
 *
 * <p>Safe for use by several threads: the events never change, and the copies without the previous
 * value are made when they are first wanted; should two threads make the same copy, either will do.
 */
final class Slice {
  private final Batch batch;
  private final long first;
  private final long last;
  private final @Nullable Event[] bare;

  private Slice(Batch batch, long first, long last) {
    this.batch = batch;
    this.first = first;
    this.last = last;
    this.bare = new @Nullable Event[batch.events().size()];
  }

  /**
   * Cuts all events of the revisions {@code first} to {@code last} into slices of about {@code
   * maxBytes}.
   */
  static List<Slice> split(List<Event> events, long first, long last, int maxBytes) {
    List<Slice> slices = new ArrayList<>();
    long from = first;
    List<Batch> batches = Batch.split(events, maxBytes);
    for (int i = 0; i < batches.size(); i++) {
      Batch batch = batches.get(i);
      long through = i == batches.size() - 1 ? last : batch.lastRevision();
      slices.add(new Slice(batch, from, through));
      from = through + 1;
    }
    if (slices.isEmpty()) {
      slices.add(new Slice(Batch.EMPTY, first, last));
    }
    return slices;
  }

  long first() {
    return first;
  }

  long last() {
    return last;
  }

  int size() {
    return batch.events().size();
  }

  long bytes() {
    return batch.bytes();
  }

  Event event(int i) {
    return batch.events().get(i);
  }

  /** The event as a watch with this view is sent it. */
  Event shown(int i, EventView view) {
    return view.previous() ? beforeRevision(i, batch.events()) : bare(i);
  }

  /**
   * Event {@code i} with what its key was before the revision, which a revision may change several
   * times: so does etcd show it.
   *
   * @param all all events of the revision that are of this key, at least
   */
  static Event beforeRevision(int i, List<Event> all) {
    Event event = all.get(i);
    KeyValue previous = event.previous();
    if (previous == null || previous.modRevision() < event.revision()) {
      return event;
    }
    Event first = event;
    for (int j = i - 1; j >= 0 && all.get(j).revision() == event.revision(); j--) {
      if (all.get(j).kv().key().equals(event.kv().key())) {
        first = all.get(j);
      }
    }
    KeyValue before = first.previous();
    boolean older = before != null && before.modRevision() < event.revision();
    return new Event(event.kv(), older ? before : null);
  }

  /** The event as a watch that wants no previous value is sent it. */
  private Event bare(int i) {
    Event event = bare[i];
    if (event == null) {
      event = bare(event(i));
      bare[i] = event;
    }
    return event;
  }

  static Event bare(Event event) {
    return event.previous() == null ? event : new Event(event.kv(), null);
  }
}
