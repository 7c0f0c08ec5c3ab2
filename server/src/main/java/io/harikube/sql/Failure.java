package io.harikube.sql;

import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import org.sqlite.SQLiteException;

/** What a failed statement says of the database and of its connection. */
enum Failure {
  /** The operation is at fault: the database is well, and has done nothing of it. */
  REFUSED,

  /**
   * The database is at fault, and has done nothing of the operation: read-only, busy, out of
   * connections or memory, or told to stop.
   */
  UNAVAILABLE,

  /** The same, because there is no room. */
  FULL,

  /** The connection or the disk failed: what became of the operation has to be looked up. */
  UNKNOWN;

  /** Whether {@code e}, or what caused it, is one of the given class. */
  private static boolean has(SQLException e, Class<? extends Throwable> type) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (type.isInstance(cause)) {
        return true;
      }
    }
    return false;
  }

  /** By SQLite's result codes. */
  static Failure sqlite(SQLException e) {
    if (!(e instanceof SQLiteException sqlite)) {
      return UNKNOWN;
    }
    return switch (sqlite.getResultCode().code & 0xff) {
      case 1, 18, 19, 20, 25 -> REFUSED; // ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE
      case 13 -> FULL;
      case 10, 11, 21, 26 -> UNKNOWN; // IOERR, CORRUPT, MISUSE, NOTADB
      default -> UNAVAILABLE;
    };
  }

  /** Whether a connection to SQLite can go on: the driver closes the statement after all others. */
  static boolean sqliteGoesOn(SQLException e) {
    if (!(e instanceof SQLiteException sqlite)) {
      return false;
    }
    return switch (sqlite.getResultCode().code & 0xff) {
      case 5, 6, 19 -> true; // BUSY, LOCKED, CONSTRAINT
      default -> false;
    };
  }

  /** By PostgreSQL's SQLSTATE. */
  static Failure postgres(SQLException e) {
    if (e instanceof OutcomeUnknownException) {
      return UNKNOWN;
    }
    if (has(e, SQLTransientConnectionException.class)) {
      return UNAVAILABLE;
    }
    if (has(e, SocketException.class) || has(e, SocketTimeoutException.class)) {
      return UNKNOWN;
    }
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof SQLException sql && sql.getSQLState() != null) {
        return bySqlState(sql.getSQLState());
      }
    }
    return REFUSED;
  }

  private static Failure bySqlState(String state) {
    return switch (state) {
      case "53100" -> FULL;
      // Read-only; a lock or a statement that took too long; the database or its user is not there.
      case "25006", "55P03", "57014", "40001", "40P01", "3D000", "28000", "28P01" -> UNAVAILABLE;
      // Out of memory may be the driver's own, in the middle of an answer.
      case "53200" -> UNKNOWN;
      // The connection has been ended: by a timeout, by an administrator, by a crash.
      case "25P03", "25P04", "57P01", "57P02", "57P03", "57P04", "57P05" -> UNKNOWN;
      default ->
          state.startsWith("08")
              ? UNKNOWN
              : state.startsWith("53") || state.startsWith("58") ? UNAVAILABLE : REFUSED;
    };
  }
}
