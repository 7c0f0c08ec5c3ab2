package io.harikube.kubernetes;

/** A stored value that cannot be edited without a risk to what else it holds. */
public final class NotEditableException extends Exception {
  private static final long serialVersionUID = 1;

  /**
   * @param reason one of few constant texts
   */
  NotEditableException(String reason) {
    super(reason, null, false, false);
  }

  /** Why, for logs: one of few constant texts. */
  public String reason() {
    return String.valueOf(getMessage());
  }
}
