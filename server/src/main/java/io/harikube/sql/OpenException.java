package io.harikube.sql;

import java.sql.SQLException;

/** Why a store cannot be opened, in one sentence for the operator, without secrets. */
public final class OpenException extends Exception {
  private static final long serialVersionUID = 1;

  private final boolean away;

  public OpenException(String message) {
    super(message);
    away = false;
  }

  public OpenException(String message, Throwable cause) {
    this(message, cause, false);
  }

  private OpenException(String message, Throwable cause, boolean away) {
    super(message, cause);
    this.away = away;
  }

  /** Why, when {@code cause} is what the database says, or the network on the way to it. */
  static OpenException of(String message, SQLException cause) {
    return new OpenException(message, cause, PostgresConnector.isAway(cause));
  }

  /** Whether the same may succeed later: there is no primary now that takes connections. */
  public boolean isAway() {
    return away;
  }
}
