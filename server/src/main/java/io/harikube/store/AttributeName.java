package io.harikube.store;

/**
 * The name of an attribute.
 *
 * @param text as databases keep it
 */
public record AttributeName(String text) {
  private static final String ADDED = "+";

  /** Only values have it that cannot be understood. */
  public static final AttributeName UNKNOWN = new AttributeName("");

  /** A name that not all values had when they were written; see {@link Store#gather}. */
  public static AttributeName added(String text) {
    return new AttributeName(ADDED + text);
  }

  /** Whether not all values had it when they were written. */
  public boolean isAdded() {
    return text.startsWith(ADDED);
  }

  @Override
  public String toString() {
    return text;
  }
}
