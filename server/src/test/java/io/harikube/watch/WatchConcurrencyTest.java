package io.harikube.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The same checks as in the simulation, with the threads that a server has: a writer, clients that
 * ask and take, and the hub's own.
 */
@Timeout(120)
class WatchConcurrencyTest {
  private static final int COMMITS = 3_000;
  private static final int CLIENTS = 6;

  @Test
  void watchesGetExactlyWhatTheLogSays() throws Exception {
    for (int seed = 1; seed <= 4; seed++) {
      run(seed);
    }
  }

  @Test
  void closingTheHubReleasesItsClients() throws Exception {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      WatchHub hub = new WatchHub(new TestLog(), WatchOptions.defaults());
      WatchStream stream = hub.open();
      stream.create(HubFixture.watch("a/").build());
      stream.take();
      Future<WatchMessage> waiting = threads.submit(stream::take);
      hub.close();

      assertThatThrownBy(() -> waiting.get(60, TimeUnit.SECONDS))
          .hasCauseInstanceOf(InterruptedException.class);
      assertThatThrownBy(hub::open).isInstanceOf(IllegalStateException.class);
      assertThat(hub.watchers()).isZero();
      assertThat(hub.streams()).isZero();
    }
  }

  private static void run(int seed) throws Exception {
    boolean tight = seed % 2 == 0;
    WatchOptions options =
        new WatchOptions(
            tight ? 20_000 : 1 << 20,
            tight ? 5_000 : 1 << 20,
            tight ? 5_000 : 1 << 20,
            1 << 20,
            3_000,
            2_000,
            100_000,
            2,
            Duration.ofMillis(2));
    TestLog log = new TestLog();
    AtomicBoolean written = new AtomicBoolean();
    try (WatchHub hub = new WatchHub(log, options);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        ClientModel client = new ClientModel(log, hub.openStream(), options, false);
        Random random = new Random(100L * seed + i);
        all.add(threads.submit(client(log, client, random, written)));
      }
      Random random = new Random(seed);
      for (int i = 0; i < COMMITS; i++) {
        String key = "/" + random.nextInt(5) + "/" + random.nextInt(20);
        log.commit(
            random.nextInt(50) == 0,
            List.of(
                List.of(TestLog.put(key, "v".repeat(random.nextInt(200)))),
                List.of(
                    random.nextInt(3) == 0
                        ? TestLog.delete(key)
                        : TestLog.put("/x/" + i % 7, "w"))));
      }
      written.set(true);
      for (Future<?> one : all) {
        one.get(100, TimeUnit.SECONDS);
      }
      assertThat(hub.watchers()).isZero();
      assertThat(hub.pendingBytes()).isZero();
      assertThat(hub.pendingEvents()).isZero();
      assertThat(hub.streams()).isZero();
    }
  }

  /** Makes and ends watches while the log is written; then waits for all of their events. */
  private static Callable<Void> client(
      TestLog log, ClientModel client, Random random, AtomicBoolean written) {
    return () -> {
      try (HubStream stream = client.stream()) {
        // There is always a message soon, because this one asks for its progress.
        client.create(
            new WatchRequest(0, KeyRange.prefix(Bytes.EMPTY), 0, false, false, false, true, false));
        while (!written.get()) {
          switch (random.nextInt(40)) {
            case 0 -> client.create(request(log, random));
            case 1 -> {
              List<Long> ids = client.ids();
              if (ids.size() > 5) {
                client.cancel(ids.get(1 + random.nextInt(ids.size() - 1)));
              }
            }
            case 2 -> client.progress();
            default -> client.accept(stream.take());
          }
        }
        client.create(request(log, random));
        while (client.awaitsCreation()) {
          client.accept(stream.take());
        }
        client.progress();
        while (client.awaitsProgress()) {
          client.accept(stream.take());
        }
        client.assertCaughtUp();
      }
      return null;
    };
  }

  private static WatchRequest request(TestLog log, Random random) {
    KeyRange range =
        switch (random.nextInt(3)) {
          case 0 -> KeyRange.prefix(Bytes.of("/" + random.nextInt(5) + "/"));
          case 1 -> KeyRange.prefix(Bytes.EMPTY);
          default -> KeyRange.single(Bytes.of("/" + random.nextInt(5) + "/1"));
        };
    long start = random.nextBoolean() ? 0 : 1 + random.nextLong(log.revision());
    return new WatchRequest(
        0, range, start, random.nextBoolean(), false, false, random.nextBoolean(), false);
  }
}
