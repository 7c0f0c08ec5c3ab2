package io.harikube.watch;

import io.harikube.store.AttributeReader;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The live watches of one range. An event is matched with the range once, whatever their number,
 * and watches with the same view are handed the same batch.
 *
 * <p>Belongs to the dispatcher's thread.
 */
final class WatcherGroup {
  private static final Logger log = LoggerFactory.getLogger(WatcherGroup.class);

  private final KeyRange range;
  private final Set<Watcher> watchers = new LinkedHashSet<>();
  private final FilteredWatchers filtered = new FilteredWatchers();
  private int[] matched = new int[4];
  private int count;

  WatcherGroup(KeyRange range) {
    this.range = range;
  }

  KeyRange range() {
    return range;
  }

  boolean isEmpty() {
    return watchers.isEmpty() && filtered.isEmpty();
  }

  void add(Watcher watcher) {
    if (watcher.view.selection().isAll()) {
      watchers.add(watcher);
    } else {
      filtered.add(watcher);
    }
  }

  void remove(Watcher watcher) {
    if (watcher.view.selection().isAll()) {
      watchers.remove(watcher);
    } else {
      filtered.remove(watcher);
    }
  }

  /** Takes all watches out of the group. */
  List<Watcher> removeAll() {
    List<Watcher> all = watchers();
    all.forEach(this::remove);
    return all;
  }

  List<Watcher> watchers() {
    List<Watcher> all = new ArrayList<>(watchers);
    all.addAll(filtered.all());
    return all;
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
    return visited + deliverFiltered(slice);
  }

  private int deliverFiltered(Slice slice) {
    if (filtered.isEmpty()) {
      return 0;
    }
    AttributeReader reader = filtered.all().iterator().next().view.selection().reader();
    Map<Watcher, List<Event>> wanted = new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      Event event = slice.event(matched[i]);
      Selection.Sides sides = Selection.Sides.of(event, reader);
      for (Watcher watcher : filtered.candidates(sides)) {
        EventView view = watcher.view;
        if (view.wantsKind(event) && sides.match(view.selection().filter())) {
          wanted
              .computeIfAbsent(watcher, _ -> new ArrayList<>())
              .add(slice.shown(matched[i], view));
        }
      }
    }
    wanted.forEach(
        (watcher, events) -> {
          boolean stays = false;
          try {
            stays = watcher.stream.offer(watcher, Batch.of(events), slice.last());
          } catch (RuntimeException e) {
            log.error("A watch failed and is canceled: id={} range={}", watcher.id, range, e);
            watcher.stream.fail(watcher);
          }
          if (!stays) {
            watcher.group = null;
            filtered.remove(watcher);
          }
        });
    return wanted.size();
  }

  private Batch batch(Slice slice, EventView view) {
    List<Event> events = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      if (view.wants(slice.event(matched[i]))) {
        events.add(slice.shown(matched[i], view));
      }
    }
    return events.isEmpty() ? Batch.EMPTY : Batch.of(events);
  }
}
