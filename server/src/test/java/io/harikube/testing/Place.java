package io.harikube.testing;

import io.harikube.sql.Endpoint;
import io.harikube.sql.FaultyDialect;
import io.harikube.sql.OpenException;
import io.harikube.sql.SqlOptions;
import io.harikube.sql.SqlStore;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Where the data of a store is, which outlives the store. */
sealed interface Place extends AutoCloseable {

  Store open(UnaryOperator<SqlOptions> options, TestClock clock) throws OpenException;

  /** The options that a store is opened with. */
  SqlOptions options();

  /** A connection that is none of the store's. */
  Connection connect() throws SQLException;

  /** Deletes the data. */
  @Override
  void close();

  /** In this process. */
  final class InMemory implements Place {
    private @Nullable Model model;
    private long term;

    @Override
    public Store open(UnaryOperator<SqlOptions> options, TestClock clock) {
      Model data = model;
      if (data == null) {
        data = new Model(clock);
        model = data;
      }
      return new ModelStore(data, ++term);
    }

    @Override
    public SqlOptions options() {
      throw new UnsupportedOperationException("the model has no options");
    }

    @Override
    public Connection connect() {
      throw new UnsupportedOperationException("the model has no connections");
    }

    @Override
    public void close() {}
  }

  /** In a folder of its own. */
  final class InSqlite implements Place {
    private final Path folder;

    InSqlite() {
      try {
        folder = Files.createTempDirectory("harikube-sqlite-");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    Path file() {
      return folder.resolve("store.db");
    }

    @Override
    public SqlOptions options() {
      return SqlOptions.of(new Endpoint.Sqlite(file()));
    }

    @Override
    public Store open(UnaryOperator<SqlOptions> options, TestClock clock) throws OpenException {
      return SqlStore.open(
          options.apply(options()), clock, StoreMetrics.NONE, TestAttributes::read);
    }

    @Override
    public Connection connect() throws SQLException {
      Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file());
      try (var statement = connection.createStatement()) {
        statement.execute("PRAGMA busy_timeout = 10000");
      }
      return connection;
    }

    @Override
    public void close() {
      try {
        Folders.delete(folder);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Where another is, with faults between the store's writer and its database. */
  record Faulty(Place place, FaultyDialect.Faults faults) implements Place {
    @Override
    public SqlOptions options() {
      return place.options();
    }

    @Override
    public Store open(UnaryOperator<SqlOptions> options, TestClock clock) throws OpenException {
      return FaultyDialect.open(options.apply(options()), clock, faults);
    }

    @Override
    public Connection connect() throws SQLException {
      return place.connect();
    }

    @Override
    public void close() {
      place.close();
    }
  }

  /** In a database of the test run's server. */
  final class InPostgres implements Place {
    private final TestPostgres server = TestPostgres.shared();
    private final TestPostgres.Database database = server.newDatabase();

    @Override
    public SqlOptions options() {
      return SqlOptions.of(database.endpoint());
    }

    @Override
    public Store open(UnaryOperator<SqlOptions> options, TestClock clock) throws OpenException {
      return SqlStore.open(
          options.apply(options()), clock, StoreMetrics.NONE, TestAttributes::read);
    }

    @Override
    public Connection connect() throws SQLException {
      return server.connect(database.endpoint().database());
    }

    @Override
    public void close() {
      server.drop(database);
    }
  }
}
