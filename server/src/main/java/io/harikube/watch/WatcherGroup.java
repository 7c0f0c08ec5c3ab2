package io.harikube.watch;

import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The live watches of one range. An event is matched with the range once, whatever their number,
 * and watches with the same view are handed the same batch.
 *
 * <p>This is the place to look closer at an event than by its key: a group may index its watches
 * further, so that {@link #deliver} visits only those that want it.
 *
 * <p>Belongs to the dispatcher's thread.
 */
final class WatcherGroup {
  private static final Logger log = LoggerFactory.getLogger(WatcherGroup.class);

  private final KeyRange range;
  private final Set<Watcher> watchers = new LinkedHashSet<>();
  private int[] matched = new int[4];
  private int count;

  WatcherGroup(KeyRange range) {
    this.range = range;
  }

  KeyRange range() {
    return range;
  }

  Set<Watcher> watchers() {
    return watchers;
  }

  /**
   * Notes that event {@code i} of the slice is in the range.
   *
   * @return whether it is the first of the slice
   */
  boolean match(int i) {
    if (count == matched.length) {
      matched = Arrays.copyOf(matched, 2 * count);
    }
    matched[count++] = i;
    return count == 1;
  }

  /** Forgets what has been noted. */
  void reset() {
    count = 0;
    if (matched.length > 1024) {
      matched = new int[4];
    }
  }

  /**
   * Hands the events that were noted to the watches. Those that cannot take them leave the group,
   * and the trouble of one is not that of another.
   *
   * @return the number of watches that were visited
   */
  int deliver(Slice slice) {
    @Nullable Batch[] batches = new @Nullable Batch[EventView.COUNT];
    int visited = 0;
    for (Iterator<Watcher> all = watchers.iterator(); all.hasNext(); ) {
      Watcher watcher = all.next();
      visited++;
      boolean stays = false;
      try {
        Batch batch = batches[watcher.view.index()];
        if (batch == null) {
          batch = batch(slice, watcher.view);
          batches[watcher.view.index()] = batch;
        }
        stays = batch.isEmpty() || watcher.stream.offer(watcher, batch, slice.last());
      } catch (RuntimeException e) {
        log.error("A watch failed and is canceled: id={} range={}", watcher.id, range, e);
        watcher.stream.fail(watcher);
      }
      if (!stays) {
        watcher.group = null;
        all.remove();
      }
    }
    return visited;
  }

  private Batch batch(Slice slice, EventView view) {
    List<Event> events = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      if (view.wants(slice.event(matched[i]))) {
        events.add(view.previous() ? slice.event(matched[i]) : slice.bare(matched[i]));
      }
    }
    return events.isEmpty() ? Batch.EMPTY : Batch.of(events);
  }
}
