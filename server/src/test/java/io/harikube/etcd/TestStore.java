package io.harikube.etcd;

import static org.junit.jupiter.api.Assumptions.abort;

import io.harikube.sql.Endpoint;
import io.harikube.sql.OpenException;
import io.harikube.sql.SqlOptions;
import io.harikube.sql.SqlStore;
import io.harikube.store.Store;
import java.nio.file.Path;
import java.time.InstantSource;

/** The store that the tests of the API serve. */
final class TestStore {
  private TestStore() {}

  static Store open(Path dir) throws OpenException {
    try {
      return SqlStore.open(
          SqlOptions.of(new Endpoint.Sqlite(dir.resolve("store.db"))), InstantSource.system());
    } catch (OpenException e) {
      if (String.valueOf(e.getMessage()).startsWith("not there yet")) {
        abort("THE ETCD API IS NOT TESTED AGAINST A STORE: " + e.getMessage());
      }
      throw e;
    }
  }
}
