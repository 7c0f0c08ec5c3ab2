package io.harikube.testing;

import io.harikube.sql.SqlOptions;
import java.util.function.UnaryOperator;

/** What the tests of the storage contract run on. */
public enum Database {
  /** The model itself: a test that it fails is wrong. */
  MODEL,
  SQLITE,
  POSTGRES;

  /** A store on an empty database. */
  public TestStore open() {
    return open(UnaryOperator.identity());
  }

  /** A store on an empty database, with other than the default options. */
  public TestStore open(UnaryOperator<SqlOptions> options) {
    return new TestStore(
        switch (this) {
          case MODEL -> new Place.InMemory();
          case SQLITE -> new Place.InSqlite();
          case POSTGRES -> new Place.InPostgres();
        },
        options);
  }
}
