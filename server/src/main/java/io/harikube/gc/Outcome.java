package io.harikube.gc;

/** What became of a look at an object. */
sealed interface Outcome {
  Outcome DONE = new Done();
  Outcome AGAIN = new Again();

  /** It has been dealt with, or need not be. */
  record Done() implements Outcome {}

  /** It is to be looked at again when something about this subject changes. */
  record Blocked(String subject) implements Outcome {}

  /** Others change it all the time. */
  record Again() implements Outcome {}
}
