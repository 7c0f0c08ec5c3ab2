package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** Turns what the database says on a reading connection into what a store says. */
final class SqlFailures {
  private static final RareLine FAILED =
      new RareLine(
          LoggerFactory.getLogger(SqlFailures.class),
          Level.WARN,
          Duration.ofSeconds(10),
          "the database could not be read: {}");

  /** A read. */
  interface Call<T extends @Nullable Object> {
    T run() throws SQLException;
  }

  private final Dialect dialect;
  private volatile boolean closed;

  SqlFailures(Dialect dialect) {
    this.dialect = dialect;
  }

  /** From here on nothing is read any more. */
  void close() {
    closed = true;
  }

  <T extends @Nullable Object> T call(Call<T> call) {
    if (closed) {
      throw new StoreException(Reason.UNAVAILABLE, "the server is stopping");
    }
    try {
      return call.run();
    } catch (SQLException e) {
      throw of(e);
    }
  }

  /** The same for a read that is not waited for. */
  <T extends @Nullable Object> CompletableFuture<T> told(CompletableFuture<T> read) {
    return read.exceptionally(
        failure -> {
          Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
          throw switch (cause) {
            case StoreException e -> e;
            case SQLException e -> of(e);
            case null, default ->
                new StoreException(Reason.UNAVAILABLE, "internal error: " + failure, failure);
          };
        });
  }

  /** Waits for what the writer answers. */
  static <T> T join(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof StoreException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private StoreException of(SQLException e) {
    Reason reason =
        switch (dialect.failure(e)) {
          case REFUSED -> Reason.REFUSED;
          case FULL -> Reason.NO_SPACE;
          case UNAVAILABLE, UNKNOWN -> Reason.UNAVAILABLE;
        };
    FAILED.write(Sentences.first(e));
    return new StoreException(reason, "the database could not be read: " + Sentences.first(e), e);
  }
}
