package io.harikube.sql;

import static io.harikube.testing.Ops.key;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Single keys that many read at the same time, and so with the same statements. */
@OnSqlDatabases
final class PointsTest {
  private static final int KEYS = 100;
  private static final int CLIENTS = 64;

  @AutoClose private final TestStore store;

  PointsTest(Database database) {
    store = database.open();
  }

  /** Some are absent, some large. */
  private static String value(int i) {
    return switch (i % 5) {
      case 0 -> "";
      case 1 -> "large ".repeat(4000) + i;
      default -> "small " + i;
    };
  }

  private void write() {
    for (int i = 0; i < KEYS; i++) {
      if (i % 7 != 0) {
        store.put("k" + i, value(i));
      }
    }
  }

  private void read(int i) {
    List<String> found =
        store.range(key("k" + i)).kvs().stream()
            .map(KeyValue::value)
            .map(Object::toString)
            .toList();
    assertThat(found).isEqualTo(i % 7 == 0 ? List.of() : List.of(value(i)));
  }

  private static CompletableFuture<Thread> start(Runnable work) {
    CompletableFuture<Thread> done = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(
            () -> {
              try {
                work.run();
                done.complete(Thread.currentThread());
              } catch (Throwable e) {
                done.completeExceptionally(e);
              }
            });
    return done;
  }

  @Test
  void everyoneGetsTheKeyThatTheyAskedFor() {
    write();
    List<CompletableFuture<Thread>> clients = new ArrayList<>();
    for (int client = 0; client < CLIENTS; client++) {
      Random random = new Random(client);
      clients.add(start(() -> random.ints(50, 0, KEYS).forEach(this::read)));
    }
    clients.forEach(Await::answer);
  }

  /** A read that begins after a write was acknowledged sees it, whoever sends the statement. */
  @Test
  void everyoneSeesTheirOwnWrites() {
    List<CompletableFuture<Thread>> clients = new ArrayList<>();
    for (int client = 0; client < 16; client++) {
      String mine = "own" + client;
      clients.add(
          start(
              () -> {
                for (int i = 0; i < 50; i++) {
                  long revision = store.put(mine, "" + i);
                  assertThat(store.range(key(mine)).kvs().getFirst().modRevision())
                      .isEqualTo(revision);
                }
              }));
    }
    clients.forEach(Await::answer);
  }

  /** Reads keys, but none that begins with "bad"; the key "gate" not before it is opened. */
  private Points.Found read(Session session, List<Bytes> keys, CountDownLatch gate)
      throws SQLException {
    List<@Nullable Point> points = new ArrayList<>();
    for (Bytes key : keys) {
      if (key.toString().startsWith("bad")) {
        throw new SQLException("it is bad");
      }
      if (key.toString().equals("gate")) {
        try {
          gate.await();
        } catch (InterruptedException e) {
          throw new SQLException(e);
        }
      }
      points.add(Point.read(session, key));
    }
    return new Points.Found(1, points);
  }

  /** What comes of keys that are asked for while the gate is closed, of which one is bad. */
  private List<String> outcomes(Failure failure, int together) {
    CountDownLatch gate = new CountDownLatch(1);
    List<String> outcomes = new ArrayList<>();
    try (Dialect dialect = SqlStore.dialect(store.options(), StoreMetrics.NONE);
        Points points =
            new Points(
                dialect.readers(),
                1,
                together,
                (session, keys) -> read(session, keys, gate),
                _ -> failure)) {
      List<CompletableFuture<@Nullable Point>> answers =
          Stream.of("gate", "a", "bad", "b", "c").map(key -> points.read(Bytes.of(key))).toList();
      gate.countDown();
      for (CompletableFuture<@Nullable Point> answer : answers) {
        try {
          answer.get(30, TimeUnit.SECONDS);
          outcomes.add("read");
        } catch (ExecutionException e) {
          outcomes.add("refused");
        }
      }
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError(e);
    }
    return outcomes;
  }

  @Test
  void aKeyThatCannotBeReadIsRefusedAlone() {
    assertThat(outcomes(Failure.REFUSED, 8))
        .containsExactly("read", "read", "refused", "read", "read");
  }

  /** Each would have to wait as long, one after the other. */
  @Test
  void nobodyWaitsOnForADatabaseThatIsAway() {
    assertThat(outcomes(Failure.UNAVAILABLE, 1))
        .containsExactly("read", "read", "refused", "refused", "refused");
  }
}
