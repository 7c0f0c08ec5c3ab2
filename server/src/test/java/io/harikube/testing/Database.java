package io.harikube.testing;

import io.harikube.sql.FaultyDialect;
import io.harikube.sql.OpenException;
import io.harikube.sql.Restore;
import io.harikube.sql.SqlOptions;
import java.nio.file.Path;
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
    return new TestStore(place(), options);
  }

  /** A store on an empty database, whose writer meets {@code faults}. */
  public TestStore openFaulty(FaultyDialect.Faults faults) {
    return new TestStore(new Place.Faulty(place(), faults), UnaryOperator.identity());
  }

  /** A store that is what a snapshot holds; its clock is the one of the store it came from. */
  public TestStore restore(Path snapshot, TestStore source) throws OpenException {
    return restore(snapshot, source, new Restore.Exact());
  }

  /** A store that begins with a snapshot. */
  public TestStore restore(Path snapshot, TestStore source, Restore.From from)
      throws OpenException {
    Place place = place();
    try {
      long revision = Restore.restore(snapshot, place.options(), from);
      TestStore store = new TestStore(place, UnaryOperator.identity(), source.clock());
      if (store.revision() != revision) {
        throw new AssertionError("restored at " + revision + ", opened at " + store.revision());
      }
      return store;
    } catch (OpenException e) {
      place.close();
      throw e;
    }
  }

  private Place place() {
    return switch (this) {
      case MODEL -> new Place.InMemory();
      case SQLITE -> new Place.InSqlite();
      case POSTGRES -> new Place.InPostgres();
    };
  }
}
