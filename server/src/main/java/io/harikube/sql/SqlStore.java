package io.harikube.sql;

import io.harikube.store.Store;
import java.time.InstantSource;

/** A store in a relational database. */
public final class SqlStore {
  private SqlStore() {}

  /**
   * Opens the store, makes its schema if the database is empty, and migrates an older one.
   *
   * @throws OpenException in one sentence, why it cannot be opened; nothing has been changed then
   */
  @SuppressWarnings("DoNotCallSuggester")
  public static Store open(SqlOptions options, InstantSource clock) throws OpenException {
    throw new OpenException("not there yet: " + options.endpoint() + clock);
  }
}
