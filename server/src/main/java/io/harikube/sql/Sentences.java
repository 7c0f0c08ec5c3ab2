package io.harikube.sql;

/** What an exception says, in one line. */
final class Sentences {
  private Sentences() {}

  /**
   * The first line of the message: the others are details, in which PostgreSQL may quote the values
   * of a row.
   */
  static String first(Throwable e) {
    String text = String.valueOf(e.getMessage()).strip();
    int end = text.indexOf('\n');
    return end < 0 ? text : text.substring(0, end).strip();
  }
}
