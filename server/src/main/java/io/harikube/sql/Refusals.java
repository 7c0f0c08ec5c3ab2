package io.harikube.sql;

import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;

/** Why the writer does not do what it is given. */
final class Refusals {
  private Refusals() {}

  static StoreException stopping() {
    return new StoreException(Reason.UNAVAILABLE, "the server is stopping");
  }

  static StoreException taken() {
    return new StoreException(
        Reason.UNAVAILABLE, "another server has taken the database over from this one");
  }

  static StoreException away() {
    return new StoreException(Reason.UNAVAILABLE, "the database cannot be reached");
  }

  static StoreException full() {
    return new StoreException(Reason.NO_SPACE, "the database has no room");
  }

  static StoreException byDatabase(Reason reason, SQLException e) {
    return new StoreException(
        reason, "the database refused the operation: " + Sentences.first(e), e);
  }

  static StoreException tooMuch(Collector.Overflow overflow) {
    if (overflow.never) {
      return new StoreException(
          Reason.TOO_LARGE, "the answer needs more memory than is set aside for answers");
    }
    return new StoreException(
        Reason.UNAVAILABLE, "there is not enough memory for the answer of the transaction now");
  }
}
