package io.harikube.sql;

import static java.util.Objects.requireNonNull;

import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.TestStore;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A range reader on the database of a store, with the connections that the store would read with:
 * tests see what goes over them, and lose them.
 */
final class WatchedReaders implements Readers {
  private static final Walk.Attributed ALL_RELIABLE =
      new Walk.Attributed() {
        @Override
        public Filter reliable(Filter filter, long revision, Meta meta) {
          return filter;
        }

        @Override
        public boolean matches(Filter filter, KeyValue kv) {
          throw new AssertionError("the database knows all attributes");
        }
      };

  private final TestStore store;
  private final Dialect dialect;
  private @Nullable Runnable beforeLoss;
  private @Nullable Runnable beforeSnapshot;
  private int beforeWhich = -1;
  private int snapshots;
  private long largestResult;

  WatchedReaders(TestStore store) {
    this.store = store;
    this.dialect = SqlStore.dialect(store.options(), StoreMetrics.NONE);
  }

  /** Ranges that are read over these connections. */
  RangeReader ranges() {
    Dialect watched =
        (Dialect)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {Dialect.class},
                (_, method, _) ->
                    switch (method.getName()) {
                      case "readers" -> this;
                      default -> throw new AssertionError(method);
                    });
    return new RangeReader(
        watched,
        new Pins(store.store()::revision),
        ALL_RELIABLE,
        new PrefixCounts(store.revision()));
  }

  OpResult.Range range(RangeQuery query) throws SQLException {
    try (MemoryBudget.Share share = store.budget().open()) {
      return ranges().range(query, share);
    }
  }

  /** All parts of a range. */
  List<OpResult.Range> stream(RangeQuery query, int partBytes) throws SQLException {
    List<OpResult.Range> parts = new ArrayList<>();
    ranges().stream(query, Unlimited.share(), partBytes, parts::add);
    return parts;
  }

  /**
   * The next snapshot is read, then something happens, and then its connection is lost before the
   * snapshot has ended.
   */
  void loseNext(Runnable before) {
    beforeLoss = before;
  }

  /** Something happens before one of the next snapshots, counted from 0. */
  void beforeSnapshot(int next, Runnable happens) {
    beforeSnapshot = happens;
    beforeWhich = snapshots + next;
  }

  /** How many snapshots have been read. */
  int snapshots() {
    return snapshots;
  }

  /** The most bytes that one statement has answered at once, since the last time. */
  long largestResult() {
    long largest = largestResult;
    largestResult = 0;
    return largest;
  }

  @Override
  public <T extends Answer> T single(Work<T> work) throws SQLException {
    return dialect.readers().single(session -> work.run(watched(session)));
  }

  @Override
  public <T extends @Nullable Object> T snapshot(SnapshotWork<T> work) throws SQLException {
    if (snapshots++ == beforeWhich) {
      requireNonNull(beforeSnapshot).run();
    }
    Runnable before = beforeLoss;
    beforeLoss = null;
    if (before == null) {
      return dialect.readers().snapshot((session, meta) -> work.run(watched(session), meta));
    }
    boolean[] lost = {false};
    T result =
        dialect
            .readers()
            .snapshot(
                (session, meta) -> {
                  T read = work.run(session, meta);
                  if (!lost[0]) {
                    lost[0] = true;
                    before.run();
                    end(session);
                  }
                  return read;
                });
    // SQLite's connections are not lost; what is done after a loss is the same.
    return isPostgres() ? result : dialect.readers().snapshot(work);
  }

  private boolean isPostgres() {
    return dialect instanceof PostgresDialect;
  }

  private void end(Session session) throws SQLException {
    if (!isPostgres()) {
      return;
    }
    try (ResultSet rows = session.prepare("SELECT pg_backend_pid()").executeQuery()) {
      rows.next();
      store.number("SELECT pg_terminate_backend(" + rows.getLong(1) + ", 10000)::int");
    }
    // It is the next statement that notices.
    session.execute("SELECT 1");
  }

  private Session watched(Session session) {
    return new Session(
        (Connection)
            watch(
                Connection.class,
                session.connection(),
                made -> made instanceof PreparedStatement select ? watched(select) : made),
        ManyValues.Json::new);
  }

  private PreparedStatement watched(PreparedStatement select) {
    return (PreparedStatement)
        watch(
            PreparedStatement.class,
            select,
            made -> {
              if (made instanceof ResultSet rows) {
                measure(rows, select.getFetchSize());
                return select.executeQuery();
              }
              return made;
            });
  }

  private interface Watch {
    @Nullable Object made(@Nullable Object made) throws SQLException;
  }

  private Object watch(Class<?> type, Object watched, Watch watch) {
    return Proxy.newProxyInstance(
        getClass().getClassLoader(),
        new Class<?>[] {type},
        (_, method, arguments) -> {
          try {
            return watch.made(method.invoke(watched, arguments));
          } catch (InvocationTargetException e) {
            throw e.getCause();
          }
        });
  }

  /**
   * What PostgreSQL's driver holds at a time: all rows, or as many as it fetches. The values are in
   * the last columns.
   */
  private void measure(ResultSet rows, int fetched) throws SQLException {
    long bytes = 0;
    int columns = rows.getMetaData().getColumnCount();
    for (int row = 1; rows.next(); row++) {
      for (int column = 1; column <= columns; column++) {
        byte[] value = rows.getObject(column) instanceof byte[] array ? array : new byte[8];
        bytes += value.length;
      }
      largestResult = Math.max(largestResult, bytes);
      if (row == fetched) {
        row = 0;
        bytes = 0;
      }
    }
    rows.close();
  }

  @Override
  public void close() {
    dialect.readers().close();
  }
}
