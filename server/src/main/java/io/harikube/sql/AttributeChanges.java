package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The attributes of the keys that a batch changes: those that the table attribute has, and those
 * that it is to have. An attribute that a change leaves as it is keeps its row.
 */
final class AttributeChanges {

  /** An attribute of a key, and the change of the key since which it has this value. */
  record Held(String value, long from) {}

  /** A row of the table attribute. */
  record Row(Bytes key, AttributeName name, Held held) {}

  /** A row of the table attribute_past: an attribute up to the change that ended it. */
  record Past(Bytes key, AttributeName name, Held held, long to) {}

  private final Map<Bytes, Map<AttributeName, Held>> stored = new HashMap<>();
  private final Map<Bytes, Map<AttributeName, Held>> current = new HashMap<>();
  private final List<Past> past = new ArrayList<>();

  /** Forgets what the tables have; everything must have been written. */
  void clear() {
    stored.clear();
  }

  /** Whether it is known what the table has of {@code key}. */
  boolean knows(Bytes key) {
    return stored.containsKey(key);
  }

  /** Notes what the table has of a key. */
  void loaded(Bytes key, Map<AttributeName, Held> attributes) {
    stored.put(key, attributes);
  }

  /** The attributes of a key as they are now; none if nothing is known of it. */
  Map<AttributeName, String> of(Bytes key) {
    Map<AttributeName, String> values = new HashMap<>();
    held(key).forEach((name, held) -> values.put(name, held.value()));
    return values;
  }

  /** Whether a key has an attribute that rules are told of. */
  boolean isWatched(Bytes key) {
    return isWatched(held(key).keySet());
  }

  static boolean isWatched(Set<AttributeName> names) {
    for (AttributeName name : names) {
      if (name.isWatched()) {
        return true;
      }
    }
    return false;
  }

  private Map<AttributeName, Held> held(Bytes key) {
    @Nullable Map<AttributeName, Held> held = current.get(key);
    return held == null ? stored(key) : held;
  }

  /**
   * Gives a key, of which {@link #knows} is true, new attributes.
   *
   * @param id the change that does so
   */
  void set(Bytes key, Attributes attributes, long id) {
    Map<AttributeName, Held> held =
        current.computeIfAbsent(
            key, k -> new HashMap<>(Objects.requireNonNull(stored.get(k), "not loaded")));
    Map<AttributeName, String> values = attributes.values();
    held.entrySet()
        .removeIf(
            entry -> {
              boolean stays = entry.getValue().value().equals(values.get(entry.getKey()));
              if (!stays && entry.getValue().from() < id) {
                past.add(new Past(key, entry.getKey(), entry.getValue(), id));
              }
              return !stays;
            });
    values.forEach((name, value) -> held.putIfAbsent(name, new Held(value, id)));
  }

  boolean isEmpty() {
    return current.isEmpty();
  }

  /** Rows that the table is to have, for keys and names that it has no or another row of. */
  List<Row> upserts() {
    List<Row> rows = new ArrayList<>();
    current.forEach(
        (key, after) -> {
          Map<AttributeName, Held> before = stored(key);
          after.forEach(
              (name, held) -> {
                if (!held.equals(before.get(name))) {
                  rows.add(new Row(key, name, held));
                }
              });
        });
    return rows;
  }

  /** Rows that the table is no longer to have. */
  List<Row> deletions() {
    List<Row> rows = new ArrayList<>();
    current.forEach(
        (key, after) ->
            stored(key)
                .forEach(
                    (name, held) -> {
                      if (!after.containsKey(name)) {
                        rows.add(new Row(key, name, held));
                      }
                    }));
    return rows;
  }

  private Map<AttributeName, Held> stored(Bytes key) {
    @Nullable Map<AttributeName, Held> found = stored.get(key);
    return found == null ? Map.of() : found;
  }

  /** Rows for the table attribute_past. */
  List<Past> past() {
    return past;
  }

  /** To be called when the tables have got everything. */
  void written() {
    stored.putAll(current);
    current.clear();
    past.clear();
  }
}
