package io.harikube.sql;

import java.sql.SQLException;

/** A commit failed in a way that does not tell whether it will be there after a crash. */
final class OutcomeUnknownException extends SQLException {
  private static final long serialVersionUID = 1;

  OutcomeUnknownException(Throwable cause) {
    super(cause.getMessage(), cause);
  }
}
