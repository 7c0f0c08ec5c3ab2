package io.harikube.store;

/** Reads the attributes of a value. Called from many threads; it must neither block nor throw. */
@FunctionalInterface
public interface AttributeReader {

  /** For a store whose values say nothing of themselves. */
  AttributeReader NONE = (_, _) -> Attributes.NONE;

  Attributes read(Bytes key, Bytes value);

  /**
   * Counts the changes of what {@link #read} answers: attributes that were read before a change are
   * read again.
   */
  default long generation() {
    return 0;
  }

  /**
   * Says that a key is about to be changed, before anyone can see it; it may not come to pass.
   * Called by the store's writer.
   *
   * @param revision that of the change
   */
  default void changing(Bytes key, long revision) {}
}
