package io.harikube.store;

/**
 * The name of an attribute.
 *
 * @param text as databases keep it
 */
public record AttributeName(String text) {
  private static final String ADDED = "+";
  private static final String WATCHED = "!";

  /** All names that are {@link #isWatched}, as databases keep them. */
  public static final KeyRange WATCHED_NAMES = KeyRange.prefix(Bytes.of(WATCHED));

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

  /** A name that {@link TaskRules} are told of. */
  public static AttributeName watched(String text) {
    return new AttributeName(WATCHED + text);
  }

  public boolean isWatched() {
    return text.startsWith(WATCHED);
  }

  @Override
  public String toString() {
    return text;
  }
}
