package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.TestStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** SQLite's log while others read, and after its thread has met errors. */
final class CheckpointTest {
  private static final int VALUE_BYTES = 1 << 20;

  /** The shortest log that there can be, and a step. */
  private static final long LIMIT = 3L * 4096 * 4120;

  private final Bytes value = Bytes.of(random());

  private static byte[] random() {
    byte[] bytes = new byte[VALUE_BYTES];
    new Random(1).nextBytes(bytes);
    return bytes;
  }

  private static long walBytes(Path file) {
    try {
      Path wal = Path.of(file + "-wal");
      return Files.exists(wal) ? Files.size(wal) : 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Answers how long it took. */
  private long put(TestStore store, int i) {
    long begin = System.nanoTime();
    store.put(Bytes.of("k" + i % 10), value);
    return System.nanoTime() - begin;
  }

  @Test
  void whoReadsDoesNotHoldUpWhoWritesAndTheLogShrinksAfterwards() throws SQLException {
    try (TestStore store =
        Database.SQLITE.open(
            options ->
                new SqlOptions(
                    options.endpoint(),
                    options.readers(),
                    options.batchOperations(),
                    options.eventBytes(),
                    options.compactionBatch(),
                    options.compactionReadDeadline(),
                    1,
                    options.slowQuery(),
                    options.minLeaseTtl(),
                    options.pool()))) {
      int i = 0;
      put(store, i++);
      try (Connection reader = store.connect();
          Statement statement = reader.createStatement()) {
        statement.execute("BEGIN");
        try (ResultSet rows = statement.executeQuery("SELECT count(*) FROM log")) {
          rows.next();
        }
        long slowest = 0;
        while (walBytes(store.file()) < 2 * LIMIT) {
          slowest = Math.max(slowest, put(store, i++));
        }
        // It was 10 s, SQLite's patience; a put on a busy machine takes less than half of it.
        assertThat(Duration.ofNanos(slowest)).isLessThan(Duration.ofSeconds(4));
        statement.execute("COMMIT");
      }
      for (int more = 0; more < 500 && walBytes(store.file()) > LIMIT; more++) {
        put(store, i++);
      }
      assertThat(walBytes(store.file())).isLessThanOrEqualTo(LIMIT);
    }
  }

  @Test
  void itsThreadGoesOnAfterErrors(@TempDir Path folder) throws SQLException {
    Path file = folder.resolve("store.db");
    String url = "jdbc:sqlite:" + file;
    AtomicInteger attempts = new AtomicInteger();
    SessionPool.Connector connector =
        () -> {
          Connection connection = DriverManager.getConnection(url);
          switch (attempts.incrementAndGet()) {
            case 1 -> throw new SQLException("the disk failed");
            case 2 -> throw new StackOverflowError();
            case 3 -> connection.close();
            default -> {}
          }
          return new Session(connection, ManyValues.Json::new);
        };
    try (Session writer = new Session(DriverManager.getConnection(url), ManyValues.Json::new);
        SqliteCheckpointer checkpointer =
            new SqliteCheckpointer(connector, 1 << 20, StoreMetrics.NONE)) {
      writer.execute("PRAGMA journal_mode = WAL");
      writer.execute("PRAGMA wal_autocheckpoint = 0");
      checkpointer.start();
      writer.execute("CREATE TABLE t (a)");
      checkpointer.afterCommit(writer);
      assertThat(walBytes(file)).isPositive();
      Await.until("an empty log", () -> walBytes(file) == 0);
      assertThat(attempts.get()).isGreaterThanOrEqualTo(4);
    }
  }
}
