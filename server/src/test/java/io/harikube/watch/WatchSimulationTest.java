package io.harikube.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.testing.TestAttributes;
import io.harikube.watch.TestLog.Change;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/**
 * Runs a hub on one thread, in an order that a seed decides: commits, clients that come, go, stall
 * and ask, compactions, a database that fails, tasks that wait long. {@link ClientModel} checks
 * every message; in the end, when all has become quiet, every watch has to have everything.
 */
class WatchSimulationTest {
  private static final Logger LOGGER =
      (Logger) LoggerFactory.getLogger(WatchHub.class.getPackageName());
  private static final int SEEDS = Integer.getInteger("watch.seeds", 3000);

  /** The database fails on purpose here, thousands of times. */
  @BeforeAll
  static void quiet() {
    LOGGER.setLevel(Level.OFF);
  }

  @AfterAll
  static void loud() {
    LOGGER.setLevel(null);
  }

  @Test
  void watchesGetExactlyWhatTheLogSays() {
    for (long seed = 1; seed <= SEEDS; seed++) {
      run(seed);
    }
  }

  /** Seeds that have failed once. */
  @ParameterizedTest
  @ValueSource(longs = {1})
  void seed(long seed) {
    run(seed);
  }

  private static void run(long seed) {
    try {
      new Simulation(seed).run();
    } catch (Throwable e) {
      throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
    }
  }

  private static final class Simulation {
    private static final String[] PARTS = {"a", "b", "ab", "\u00ff", ""};

    private final Random random;
    private final TestLog log = new TestLog();
    private final WatchOptions options;
    private final WatchHub hub;
    private final ManualThreads threads;
    private final List<ClientModel> clients = new ArrayList<>();
    private int errorPercent;

    Simulation(long seed) {
      random = new Random(seed);
      int messageBytes = anyOf(1, 500, 2_000, 10_000);
      options =
          new WatchOptions(
              anyOf(0, 1_000, 5_000, 1_000_000),
              anyOf(0, 500, 5_000, 1_000_000),
              anyOf(1, 1_000, 5_000, 1_000_000),
              anyOf(0, 3_000, 1_000_000),
              anyOf(1, 1_000, 5_000),
              messageBytes,
              messageBytes * anyOf(1, 2, 1_000),
              1 + random.nextInt(3),
              ManualThreads.TICK);
      for (int i = random.nextInt(20); i > 0; i--) {
        commit();
      }
      threads = new ManualThreads(random);
      hub = new WatchHub(log, options, threads.threads());
      log.failWhen(() -> random.nextInt(100) < errorPercent);
    }

    void run() {
      int steps = 50 + random.nextInt(400);
      for (int i = 0; i < steps; i++) {
        step();
      }
      errorPercent = 0;
      settle();
      clients.forEach(ClientModel::assertCaughtUp);
      assertProgressIsAnswered();
      assertIdleWatchesAreTold();
      assertThat(hub.slowWatchers()).isZero();
      assertThat(hub.pendingBytes()).isZero();
      assertThat(hub.pendingEvents()).isZero();
      assertThat(hub.lag()).isZero();
      assertThat(hub.watchers())
          .isEqualTo(clients.stream().mapToLong(client -> client.watches().size()).sum());
      for (ClientModel client : clients) {
        client.stream().close();
        assertThatExceptionOfType(CancellationException.class)
            .isThrownBy(() -> client.stream().poll());
      }
      clients.clear();
      settle();
      assertThat(hub.watchers()).isZero();
      assertThat(hub.streams()).isZero();
      assertThat(hub.dispatcher().index().isEmpty()).isTrue();
    }

    private void assertProgressIsAnswered() {
      clients.forEach(ClientModel::progress);
      settle();
      for (ClientModel client : clients) {
        boolean future =
            client.watches().stream()
                .anyMatch(watch -> watch.request.startRevision() > log.revision());
        if (!future && !client.watches().isEmpty()) {
          assertThat(client.awaitsProgress()).isFalse();
        }
      }
    }

    private void assertIdleWatchesAreTold() {
      for (int i = 0; i < 2; i++) {
        threads.tick();
        settle();
      }
      for (ClientModel client : clients) {
        for (ClientModel.Watch watch : client.watches()) {
          if (watch.request.progressNotify() && watch.request.startRevision() <= log.revision()) {
            assertThat(watch.told).isEqualTo(log.revision());
          }
        }
      }
    }

    private void step() {
      int choice = random.nextInt(100);
      if (choice < 20) {
        commit();
      } else if (choice < 45) {
        threads.dispatch();
      } else if (choice < 60) {
        threads.read();
      } else if (choice < 63) {
        threads.time();
      } else if (choice < 65) {
        threads.tick();
      } else if (choice < 68) {
        if (clients.size() < 4) {
          clients.add(new ClientModel(log, hub.openStream(), options, true));
        }
      } else if (choice < 70) {
        log.compact(1 + random.nextLong(log.revision()));
      } else if (choice < 71) {
        errorPercent = anyOf(0, 0, 20, 80);
      } else if (!clients.isEmpty()) {
        client(clients.get(random.nextInt(clients.size())), choice);
      }
    }

    private void client(ClientModel client, int choice) {
      if (choice < 78) {
        client.create(request());
      } else if (choice < 80) {
        List<Long> ids = client.ids();
        client.cancel(
            ids.isEmpty() || random.nextInt(5) == 0
                ? random.nextLong(8)
                : ids.get(random.nextInt(ids.size())));
      } else if (choice < 82) {
        client.progress();
      } else if (choice < 83 && random.nextInt(4) == 0) {
        client.stream().close();
        clients.remove(client);
      } else {
        for (int i = random.nextInt(4); i > 0; i--) {
          take(client);
        }
      }
    }

    private static boolean take(ClientModel client) {
      WatchMessage message = client.stream().poll();
      if (message != null) {
        client.accept(message);
      }
      return message != null;
    }

    private void commit() {
      List<List<Change>> transactions = new ArrayList<>();
      for (int i = random.nextInt(4); i >= 0; i--) {
        List<Change> changes = new ArrayList<>();
        for (int j = random.nextInt(random.nextInt(4) == 0 ? 6 : 2); j >= 0; j--) {
          String key = key();
          boolean isNew = changes.stream().noneMatch(change -> change.key().equals(key));
          if (isNew) {
            changes.add(
                random.nextInt(4) == 0
                    ? TestLog.delete(key)
                    : TestLog.put(key, attributes() + "v".repeat(random.nextInt(300))));
          }
        }
        transactions.add(changes);
      }
      log.commit(random.nextInt(15) == 0, transactions);
    }

    private WatchRequest request() {
      long start =
          switch (random.nextInt(10)) {
            case 0, 1, 2 -> 0;
            case 3, 4, 5, 6 -> 1 + random.nextLong(log.revision());
            case 7 -> log.revision() + 1;
            case 8 -> log.revision() + random.nextInt(10);
            default -> random.nextInt(10) == 0 ? -1 : log.compacted();
          };
      return new WatchRequest(
          random.nextInt(3) == 0 ? random.nextInt(6) : 0,
          range(),
          start,
          random.nextBoolean(),
          random.nextInt(8) == 0,
          random.nextInt(8) == 0,
          random.nextBoolean(),
          random.nextInt(3) == 0,
          selection());
    }

    private String attributes() {
      return switch (random.nextInt(8)) {
        case 0 -> "";
        case 1 -> "{?}";
        default -> "{a=" + random.nextInt(3) + ";b=" + random.nextInt(3) + "}";
      };
    }

    private Selection selection() {
      if (random.nextBoolean()) {
        return Selection.ALL;
      }
      List<Filter.Requirement> requirements = new ArrayList<>();
      for (int i = random.nextInt(2); i >= 0; i--) {
        Filter.Operator[] operators = Filter.Operator.values();
        requirements.add(
            new Filter.Requirement(
                new AttributeName(random.nextBoolean() ? "a" : "b"),
                operators[random.nextInt(operators.length)],
                List.of("" + random.nextInt(3), "" + random.nextInt(4)),
                random.nextInt(3)));
      }
      return new Selection(new Filter(requirements), TestAttributes::read);
    }

    private KeyRange range() {
      return switch (random.nextInt(8)) {
        case 0, 1 -> KeyRange.single(Bytes.of(key()));
        case 2, 3, 4 -> KeyRange.prefix(Bytes.of("/" + part() + (random.nextBoolean() ? "/" : "")));
        case 5 -> KeyRange.prefix(Bytes.EMPTY);
        case 6 -> new KeyRange(Bytes.of(key()), null);
        default -> new KeyRange(Bytes.of(key()), Bytes.of(key()));
      };
    }

    private String key() {
      return "/" + part() + "/" + part() + part();
    }

    private String part() {
      return PARTS[random.nextInt(PARTS.length)];
    }

    /** Runs everything until nothing is left to do. */
    private void settle() {
      // Twice, since it makes room for more if a client finds nothing.
      for (int quiet = 0; quiet < 2; quiet++) {
        boolean busy = threads.dispatch();
        busy |= threads.read();
        busy |= threads.time();
        for (ClientModel client : clients) {
          busy |= take(client);
        }
        quiet = busy ? -1 : quiet;
      }
    }

    private int anyOf(int... choices) {
      return choices[random.nextInt(choices.length)];
    }
  }
}
