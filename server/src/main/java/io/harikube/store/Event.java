package io.harikube.store;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One change of one key.
 *
 * @param kv the key after the change; of version 0 if the change deleted it
 * @param previous the key before the change; null if there was none, or it has been compacted away
 */
public record Event(KeyValue kv, @Nullable KeyValue previous) {

  public boolean isDelete() {
    return kv.version() == 0;
  }

  public long revision() {
    return kv.modRevision();
  }

  /**
   * The key as it was before the revision of {@code events}, the last of which have changed it:
   * what etcd shows for each of several changes in one revision.
   */
  public static @Nullable KeyValue beforeRevision(List<Event> events, Bytes key) {
    for (Event event : events.reversed()) {
      if (event.kv().key().equals(key)) {
        return event.previous();
      }
    }
    return null;
  }

  /** The memory that this event holds, in bytes, near enough to keep a budget by. */
  public int weight() {
    return 32 + kv.weight() + (previous == null ? 0 : previous.weight());
  }
}
