package io.harikube.sql;

import static io.harikube.testing.Ops.key;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.KeyValue;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
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
}
