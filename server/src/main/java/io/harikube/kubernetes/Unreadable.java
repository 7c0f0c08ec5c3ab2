package io.harikube.kubernetes;

/** Ends the reading of a value that is {@link Opaque}. */
final class Unreadable extends RuntimeException {
  private static final long serialVersionUID = 1;

  Unreadable(String reason) {
    super(reason, null, false, false);
  }

  Opaque opaque() {
    return new Opaque(String.valueOf(getMessage()));
  }
}
