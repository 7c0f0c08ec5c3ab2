package io.harikube.store;

/**
 * A key with its value at some revision.
 *
 * @param key the key
 * @param createRevision the revision that created the key; 0 in the event of a deletion
 * @param modRevision the revision of this value
 * @param version the number of changes since the creation, 1 for the first; 0 in the event of a
 *     deletion
 * @param value the value; empty in the event of a deletion, and where only keys were asked for
 * @param lease the id of the lease that the key is attached to, 0 for none
 */
public record KeyValue(
    Bytes key, long createRevision, long modRevision, long version, Bytes value, long lease) {

  /** The key as an event of its deletion at {@code revision} shows it. */
  public static KeyValue deleted(Bytes key, long revision) {
    return new KeyValue(key, 0, revision, 0, Bytes.EMPTY, 0);
  }

  /** The same with another value. */
  public KeyValue withValue(Bytes newValue) {
    return new KeyValue(key, createRevision, modRevision, version, newValue, lease);
  }

  /** The memory that this key and value hold, in bytes, near enough to keep a budget by. */
  public int weight() {
    return 160 + key.size() + value.size();
  }
}
