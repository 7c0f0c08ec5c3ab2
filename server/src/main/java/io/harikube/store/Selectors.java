package io.harikube.store;

/** Understands the selectors of Kubernetes. Safe for use by many threads. */
public interface Selectors {

  /** Understands none. */
  Selectors NONE =
      new Selectors() {
        @Override
        public Selected select(KeyRange range, String labelSelector, String fieldSelector) {
          return new Selected(range, Filter.NONE);
        }

        @Override
        public AttributeReader reader() {
          return AttributeReader.NONE;
        }
      };

  /**
   * What selectors match among the keys of a range: all of that, and as little else as is known how
   * to.
   *
   * @param range the part of the range outside of which they match nothing; may be empty
   * @param filter of the keys in it
   */
  record Selected(KeyRange range, Filter filter) {}

  /**
   * What selectors match among the keys of a range. Neither blocks nor throws.
   *
   * @param labelSelector empty for every object
   * @param fieldSelector empty for every object
   */
  Selected select(KeyRange range, String labelSelector, String fieldSelector);

  /**
   * Waits, two seconds at the most, for what is about to be known of the objects of a range:
   * without that {@link #select} selects more than it has to.
   *
   * @throws InterruptedException if nobody waits for the answer any more
   */
  default void settle(KeyRange range) throws InterruptedException {}

  /** Reads the attributes that such filters look at. */
  AttributeReader reader();
}
