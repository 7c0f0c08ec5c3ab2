package io.harikube.watch;

import io.harikube.store.AttributeName;
import io.harikube.store.Attributes;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The watches of one range that have a filter, found by the attributes of an event.
 *
 * <p>A filter that names values of an attribute can only match an event with one of them: it lies
 * in a table under the first such attribute, and is looked at only for events that have it. So an
 * event costs its own attributes, and the watches that may want it, not all watches.
 *
 * <p>Belongs to the dispatcher's thread.
 */
final class FilteredWatchers {
  private record Named(AttributeName name, String value) {}

  private final Map<Named, Set<Watcher>> byValue = new HashMap<>();

  /** Those in {@link #byValue} under a name that has been added. */
  private final Map<AttributeName, Set<Watcher>> byAddedName = new HashMap<>();

  private final Set<Watcher> others = new LinkedHashSet<>();
  private final Set<Watcher> all = new LinkedHashSet<>();

  boolean isEmpty() {
    return all.isEmpty();
  }

  Set<Watcher> all() {
    return all;
  }

  void add(Watcher watcher) {
    all.add(watcher);
    Requirement driver = driver(watcher);
    if (driver == null) {
      others.add(watcher);
      return;
    }
    for (String value : driver.values()) {
      put(byValue, new Named(driver.name(), value), watcher);
    }
    if (driver.name().isAdded()) {
      put(byAddedName, driver.name(), watcher);
    }
  }

  void remove(Watcher watcher) {
    all.remove(watcher);
    others.remove(watcher);
    Requirement driver = driver(watcher);
    if (driver != null) {
      for (String value : driver.values()) {
        remove(byValue, new Named(driver.name(), value), watcher);
      }
      remove(byAddedName, driver.name(), watcher);
    }
  }

  private static <K> void put(Map<K, Set<Watcher>> map, K key, Watcher watcher) {
    map.computeIfAbsent(key, _ -> new LinkedHashSet<>()).add(watcher);
  }

  private static <K> void remove(Map<K, Set<Watcher>> map, K key, Watcher watcher) {
    map.computeIfPresent(
        key, (_, watchers) -> watchers.remove(watcher) && watchers.isEmpty() ? null : watchers);
  }

  private static @Nullable Requirement driver(Watcher watcher) {
    for (Requirement requirement : watcher.request.selection().filter().requirements()) {
      if (requirement.operator() == Operator.IN) {
        return requirement;
      }
    }
    return null;
  }

  /** The watches that may want an event: a superset. */
  Set<Watcher> candidates(Selection.Sides sides) {
    Set<Watcher> found = new LinkedHashSet<>(others);
    add(sides.after(), found);
    add(sides.before(), found);
    return found;
  }

  private void add(@Nullable Attributes attributes, Set<Watcher> to) {
    if (attributes == null) {
      return;
    }
    if (attributes.isUnknown()) {
      to.addAll(all);
      return;
    }
    attributes
        .values()
        .forEach(
            (name, value) -> {
              Set<Watcher> watchers = byValue.get(new Named(name, value));
              if (watchers != null) {
                to.addAll(watchers);
              }
            });
    byAddedName.forEach(
        (name, watchers) -> {
          if (!attributes.knows(name)) {
            to.addAll(watchers);
          }
        });
  }
}
