package io.harikube.tls;

/** Why certificates or keys cannot be used, in one sentence for the operator, without secrets. */
public final class TlsException extends Exception {
  private static final long serialVersionUID = 1;

  public TlsException(String message) {
    super(message);
  }

  public TlsException(String message, Throwable cause) {
    super(message, cause);
  }
}
