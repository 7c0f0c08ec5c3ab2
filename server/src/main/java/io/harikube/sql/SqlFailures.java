package io.harikube.sql;

import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** Turns what the database says on a reading connection into what a store says. */
final class SqlFailures {

  /** A read. */
  interface Call<T extends @Nullable Object> {
    T run() throws SQLException;
  }

  private final Dialect dialect;

  SqlFailures(Dialect dialect) {
    this.dialect = dialect;
  }

  <T extends @Nullable Object> T call(Call<T> call) {
    try {
      return call.run();
    } catch (SQLException e) {
      throw new StoreException(
          dialect.isConnectionLost(e) ? Reason.UNAVAILABLE : Reason.REFUSED,
          "the database could not be read: " + e.getMessage(),
          e);
    }
  }
}
