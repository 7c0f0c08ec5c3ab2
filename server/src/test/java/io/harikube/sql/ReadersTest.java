package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.StoreMetrics.Level;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.sqlite.SQLiteErrorCode;
import org.sqlite.SQLiteException;

/** What becomes of a reading connection after whatever can happen on it. */
@OnSqlDatabases
final class ReadersTest {
  private final Database database;
  @AutoClose private final TestStore store;
  @AutoClose private final Dialect dialect;

  ReadersTest(Database database) {
    this.database = database;
    store = database.open();
    store.put("a", "1");
    dialect = SqlStore.dialect(store.options(), StoreMetrics.NONE);
  }

  /** As a failed read of the disk, or a server that has gone, would. */
  private void lose(Session session) throws SQLException {
    if (database == Database.SQLITE) {
      session.prepare(Meta.SELECT).close();
      throw new SQLiteException("the disk failed", SQLiteErrorCode.SQLITE_IOERR_READ);
    }
    session.prepare("SELECT pg_terminate_backend(pg_backend_pid())").execute();
  }

  private void killReaders() {
    if (database == Database.SQLITE) {
      return;
    }
    store.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            + " WHERE datname = current_database() AND pid <> pg_backend_pid()");
  }

  private static long rows(Session session) throws SQLException {
    try (ResultSet rows = session.prepare("SELECT count(*) FROM log").executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private long rows() throws SQLException {
    return dialect.readers().snapshot((session, _) -> rows(session));
  }

  /** The connections that are not for single keys alone. */
  private int readers() {
    int readers = store.options().readers();
    return database == Database.POSTGRES ? readers - PostgresPoints.connections(readers) : readers;
  }

  @Test
  void aSnapshotWhoseConnectionIsLostIsReadOnceMoreOnAnother() throws SQLException {
    assertThat(rows()).isEqualTo(1);
    for (int i = 2; i < 8; i++) {
      AtomicInteger attempts = new AtomicInteger();
      long found =
          dialect
              .readers()
              .snapshot(
                  (session, _) -> {
                    if (attempts.incrementAndGet() == 1) {
                      killReaders();
                      lose(session);
                    }
                    return rows(session);
                  });
      assertThat(attempts).hasValue(2);
      assertThat(found).isEqualTo(i - 1);
      store.put("a", "1");
      assertThat(rows()).isEqualTo(i);
    }
  }

  @Test
  void itIsKnownHowManyReadAndHowManyWait() throws Exception {
    Map<Level, LongSupplier> levels = new EnumMap<>(Level.class);
    StoreMetrics metrics =
        new StoreMetrics() {
          @Override
          public void level(Level what, LongSupplier level) {
            levels.put(what, level);
          }
        };
    CountDownLatch end = new CountDownLatch(1);
    List<Thread> all = new ArrayList<>();
    try (Dialect observed = SqlStore.dialect(store.options(), metrics)) {
      assertThat(observed.readers().<Long>snapshot((session, _) -> rows(session))).isEqualTo(1);
      assertThat(now(levels, Level.CONNECTIONS)).isPositive();
      assertThat(now(levels, Level.CONNECTIONS_BUSY)).isZero();
      for (int i = 0; i < readers() + 2; i++) {
        all.add(Thread.ofVirtual().start(() -> hold(observed, end)));
      }
      Await.until(
          "all connections are busy, and two reads wait",
          () ->
              now(levels, Level.CONNECTIONS_BUSY) == readers()
                  && now(levels, Level.CONNECTIONS_AWAITED) == 2);
      assertThat(now(levels, Level.CONNECTIONS)).isGreaterThanOrEqualTo(readers());
      end.countDown();
      for (Thread thread : all) {
        thread.join();
      }
      assertThat(now(levels, Level.CONNECTIONS_BUSY)).isZero();
      assertThat(now(levels, Level.CONNECTIONS_AWAITED)).isZero();
    }
  }

  private static long now(Map<Level, LongSupplier> levels, Level what) {
    return levels.getOrDefault(what, () -> -1).getAsLong();
  }

  private static void hold(Dialect dialect, CountDownLatch end) {
    try {
      dialect
          .readers()
          .snapshot(
              (session, _) -> {
                long rows = rows(session);
                try {
                  end.await();
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
                return rows;
              });
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void onceIsEnough() throws SQLException {
    AtomicInteger attempts = new AtomicInteger();
    assertThatThrownBy(
            () ->
                dialect
                    .readers()
                    .single(
                        session -> {
                          attempts.incrementAndGet();
                          lose(session);
                          return Meta.read(session);
                        }))
        .isInstanceOf(SQLException.class);
    assertThat(attempts).hasValue(2);
    assertThat(rows()).isEqualTo(1);
  }

  @Test
  void whatIsRefusedIsNotAskedAgainAndNothingOfItStays() throws SQLException {
    for (int i = 0; i < 10; i++) {
      AtomicInteger attempts = new AtomicInteger();
      assertThatThrownBy(
              () ->
                  dialect
                      .readers()
                      .snapshot(
                          (session, _) -> {
                            attempts.incrementAndGet();
                            return session.prepare("SELECT nonsense FROM nowhere").execute();
                          }))
          .isInstanceOf(SQLException.class);
      assertThat(attempts).hasValue(1);
    }
    store.put("a", "2");
    assertThat(rows()).isEqualTo(2);
  }

  @Test
  void anExceptionInTheMiddleOfASnapshotEndsIt() throws SQLException {
    for (RuntimeException thrown :
        List.of(
            new StoreException(Reason.COMPACTED, "too old"),
            new Collector.Overflow(1, false),
            new IllegalStateException("a mistake"))) {
      for (int i = 0; i < 10; i++) {
        assertThatThrownBy(
                () ->
                    dialect
                        .readers()
                        .snapshot(
                            (session, _) -> {
                              rows(session);
                              throw thrown;
                            }))
            .isSameAs(thrown);
      }
      long before = rows();
      store.put("a", "2");
      assertThat(rows()).as("not the snapshot of before").isEqualTo(before + 1);
    }
  }

  @Test
  void anErrorInTheMiddleOfASnapshotEndsIt() throws SQLException {
    for (int i = 0; i < 10; i++) {
      assertThatThrownBy(
              () ->
                  dialect
                      .readers()
                      .snapshot(
                          (session, _) -> {
                            rows(session);
                            throw new StackOverflowError();
                          }))
          .isInstanceOf(StackOverflowError.class);
    }
    store.put("a", "2");
    assertThat(rows()).isEqualTo(2);
  }

  @Test
  void whoeverIsInterruptedLeavesNothingBehind() throws Exception {
    for (int i = 0; i < 10; i++) {
      CountDownLatch inside = new CountDownLatch(1);
      CompletableFuture<Boolean> ended = new CompletableFuture<>();
      Thread reader =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      ended.complete(
                          dialect
                              .readers()
                              .snapshot(
                                  (session, _) -> {
                                    inside.countDown();
                                    while (!Thread.currentThread().isInterrupted()) {
                                      rows(session);
                                    }
                                    rows(session);
                                    return true;
                                  }));
                    } catch (SQLException e) {
                      ended.complete(false);
                    }
                  });
      assertThat(inside.await(60, TimeUnit.SECONDS)).isTrue();
      reader.interrupt();
      assertThat(Await.answer(ended)).isNotNull();
    }
    store.put("a", "2");
    assertThat(rows()).isEqualTo(2);
  }

  /** All of them at the same time, after each may have been lost once. */
  @Test
  void thereAreAsManyAsThereShouldBe() throws Exception {
    int readers = readers();
    for (int round = 0; round < 3; round++) {
      CyclicBarrier all = new CyclicBarrier(readers);
      List<CompletableFuture<Boolean>> done = new ArrayList<>();
      for (int i = 0; i < readers; i++) {
        AtomicInteger attempts = new AtomicInteger();
        done.add(
            CompletableFuture.supplyAsync(
                () -> {
                  try {
                    return dialect
                        .readers()
                        .snapshot(
                            (session, _) -> {
                              await(all);
                              if (attempts.incrementAndGet() == 1) {
                                lose(session);
                              }
                              return true;
                            });
                  } catch (SQLException e) {
                    throw new IllegalStateException(e);
                  }
                },
                work -> Thread.ofPlatform().start(work)));
      }
      done.forEach(one -> assertThat(Await.answer(one)).isTrue());
    }
  }

  private static void await(CyclicBarrier all) throws SQLException {
    try {
      all.await(30, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new SQLException("not all of them", "XX000", e);
    }
  }

  private static void awaitEnd(CountDownLatch end) throws SQLException {
    try {
      end.await();
    } catch (InterruptedException e) {
      throw new SQLException("interrupted", "XX000", e);
    }
  }

  @Test
  void failuresToConnectAreNotCounted() throws Exception {
    int size = 3;
    AtomicInteger failures = new AtomicInteger(20);
    try (SessionPool pool =
        new SessionPool(
            size,
            1_000,
            () -> {
              if (failures.getAndDecrement() > 0) {
                throw new SQLException("not now");
              }
              Connection connection = DriverManager.getConnection("jdbc:sqlite::memory:");
              return new Session(connection, ManyValues.Json::new);
            })) {
      for (int i = 0; i < 20; i++) {
        assertThatThrownBy(pool::take).hasMessage("not now");
      }
      List<Session> sessions = new ArrayList<>();
      for (int i = 0; i < size; i++) {
        sessions.add(pool.take());
      }
      assertThatThrownBy(pool::take).hasMessageContaining("in use");
      pool.discard(sessions.getFirst(), true);
      assertThat(pool.take()).isNotNull();
    }
  }

  @Test
  void aDatabaseThatIsBehindIsNotBelieved() throws SQLException {
    Meta now = dialect.readers().single(Meta::read);
    Meta later =
        new Meta(now.revision() + 1, -1, -1, 0, now.epoch(), now.commits(), 0, 0, now.indexed());
    dialect.floor(() -> later);
    assertThatThrownBy(() -> dialect.probes().snapshot((session, _) -> rows(session)))
        .hasMessageContaining("behind");
    assertThatThrownBy(() -> dialect.point(store.get("a").key()).join())
        .hasMessageContaining("behind");
    store.put("a", "2");
    assertThat(rows()).isEqualTo(2);
    Meta withoutRevision =
        new Meta(now.revision(), -1, -1, 0, now.epoch(), now.commits() + 2, 0, 0, now.indexed());
    dialect.floor(() -> withoutRevision);
    assertThatThrownBy(() -> dialect.readers().snapshot((session, _) -> rows(session)))
        .hasMessageContaining("behind");
    store.grant(7, 60);
    assertThat(rows()).isEqualTo(2);
  }

  /** Whoever reads for a long time does not hold up health and metrics. */
  @Test
  void aProbeWaitsForNobodyWhoReads() throws Exception {
    int readers = readers();
    CountDownLatch end = new CountDownLatch(1);
    CyclicBarrier all = new CyclicBarrier(readers + 1);
    for (int i = 0; i < readers; i++) {
      Thread.ofPlatform()
          .daemon()
          .start(
              () -> {
                try {
                  dialect
                      .readers()
                      .snapshot(
                          (session, _) -> {
                            await(all);
                            awaitEnd(end);
                            return true;
                          });
                } catch (Exception e) {
                  throw new IllegalStateException(e);
                }
              });
    }
    all.await(30, TimeUnit.SECONDS);
    try {
      assertThat(dialect.probes().single(Meta::read).revision()).isEqualTo(2);
    } finally {
      end.countDown();
    }
  }
}
