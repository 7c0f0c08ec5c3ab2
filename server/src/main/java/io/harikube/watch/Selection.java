package io.harikube.watch;

import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import org.jspecify.annotations.Nullable;

/**
 * Which events of its range a watch wants, by the attributes of the values: those that set a key to
 * a value that the filter matches, and those that change or delete a key whose value it matched.
 *
 * @param reader reads the attributes; not asked if the filter is empty
 */
public record Selection(Filter filter, AttributeReader reader) {

  /** All events. */
  public static final Selection ALL = new Selection(Filter.NONE, AttributeReader.NONE);

  /**
   * The attributes of an event.
   *
   * @param after null for a deletion
   * @param before null if there was no key before
   */
  record Sides(Bytes key, @Nullable Attributes after, @Nullable Attributes before) {

    static Sides of(Event event, AttributeReader reader) {
      return new Sides(event.kv().key(), after(event, reader), before(event, reader));
    }

    private static @Nullable Attributes after(Event event, AttributeReader reader) {
      return event.isDelete() ? null : reader.read(event.kv().key(), event.kv().value());
    }

    private static @Nullable Attributes before(Event event, AttributeReader reader) {
      if (event.previous() != null) {
        return reader.read(event.kv().key(), event.previous().value());
      }
      // What was before a change that is not the first has been compacted away.
      return event.kv().version() == 1 ? null : Attributes.UNKNOWN;
    }

    boolean match(Filter filter) {
      return (after != null && filter.matches(key, after))
          || (before != null && filter.matches(key, before));
    }
  }

  boolean isAll() {
    return filter.isEmpty();
  }

  boolean wants(Event event) {
    return isAll() || Sides.of(event, reader).match(filter);
  }
}
