package io.harikube.store;

/**
 * Understands the selectors of Kubernetes. Safe for use by many threads; never blocks or throws.
 */
public interface Selectors {

  /** Understands none. */
  Selectors NONE =
      new Selectors() {
        @Override
        public KeyRange range(KeyRange range, String fieldSelector) {
          return range;
        }

        @Override
        public Filter filter(KeyRange range, String labelSelector, String fieldSelector) {
          return Filter.NONE;
        }

        @Override
        public AttributeReader reader() {
          return AttributeReader.NONE;
        }
      };

  /** The part of a range outside of which the selector matches nothing. */
  KeyRange range(KeyRange range, String fieldSelector);

  /**
   * The filter that lets everything through that the selectors match among the keys of a range, and
   * as little else as is known how to.
   *
   * @param labelSelector empty for every object
   * @param fieldSelector empty for every object
   */
  Filter filter(KeyRange range, String labelSelector, String fieldSelector);

  /** Reads the attributes that such filters look at. */
  AttributeReader reader();
}
