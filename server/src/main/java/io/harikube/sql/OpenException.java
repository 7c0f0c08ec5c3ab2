package io.harikube.sql;

/** Why a store cannot be opened, in one sentence for the operator, without secrets. */
public final class OpenException extends Exception {
  private static final long serialVersionUID = 1;

  public OpenException(String message) {
    super(message);
  }

  public OpenException(String message, Throwable cause) {
    super(message, cause);
  }
}
