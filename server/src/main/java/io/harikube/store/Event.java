package io.harikube.store;

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

  /** The memory that this event holds, in bytes, near enough to keep a budget by. */
  public int weight() {
    return 32 + kv.weight() + (previous == null ? 0 : previous.weight());
  }
}
