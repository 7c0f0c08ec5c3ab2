package io.harikube.sql;

import static io.harikube.testing.TestStore.refusal;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.FaultyDialect.Fault;
import io.harikube.store.KeyRange;
import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchOptions;
import io.harikube.watch.WatchRequest;
import io.harikube.watch.WatchStream;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/**
 * The database behind the connection is not the one of before: it lacks the last commits, as a
 * standby does that was promoted too early.
 */
@OnSqlDatabases
final class LostCommitsTest {
  private static final List<String> TABLES =
      List.of(
          "log", "live", "lease", "meta", "attribute", "attribute_past", "attribute_ready", "task");

  private final AtomicBoolean cut = new AtomicBoolean();
  @AutoClose private final TestStore store;

  LostCommitsTest(Database database) {
    store =
        database.openFaulty(
            call ->
                call.equals("begin") && cut.compareAndSet(true, false)
                    ? Fault.CUT_BEFORE
                    : Fault.NONE);
  }

  /** Remembers what the database holds. */
  private void remember() {
    TABLES.forEach(
        table -> store.execute("CREATE TABLE old_" + table + " AS SELECT * FROM " + table));
  }

  /** Puts the database back to what was remembered, while the writer's connection is gone. */
  private void fallBack() throws SQLException {
    try (Connection connection = store.connect();
        Statement statement = connection.createStatement()) {
      statement.execute("BEGIN");
      for (String table : TABLES) {
        statement.execute("DELETE FROM " + table);
        statement.execute("INSERT INTO %1$s SELECT * FROM old_%1$s".formatted(table));
      }
      statement.execute("COMMIT");
    }
    cut.set(true);
  }

  @Test
  void noRevisionIsGivenOutTwice() throws Exception {
    store.put("a", "1");
    remember();
    store.put("a", "2");
    store.put("lost", "1");
    long acknowledged = store.revision();
    try (WatchHub hub = new WatchHub(store.log(), WatchOptions.defaults());
        WatchStream live = hub.open();
        WatchStream late = hub.open()) {
      live.create(watch(acknowledged + 1));
      assertThat(live.take()).isInstanceOf(WatchMessage.Created.class);
      fallBack();
      long next = store.put("b", "1");
      assertThat(next).isGreaterThan(acknowledged + 1);
      assertThat(store.get("a").value().toString()).isEqualTo("1");
      assertThat(store.find("lost")).isNull();
      WatchMessage end = live.take();
      assertThat(end).isInstanceOf(WatchMessage.Canceled.class);
      assertThat(((WatchMessage.Canceled) end).compactRevision())
          .isGreaterThan(acknowledged)
          .isLessThan(next);
      for (long old = 1; old <= acknowledged; old++) {
        long revision = old;
        assertThat(refusal(() -> store.all(revision))).isEqualTo(Reason.COMPACTED);
      }
      late.create(watch(acknowledged + 1));
      assertThat(late.take()).isInstanceOf(WatchMessage.Created.class);
      assertThat(late.take()).isInstanceOf(WatchMessage.Canceled.class);
      late.create(watch(next));
      assertThat(late.take()).isInstanceOf(WatchMessage.Created.class);
      WatchMessage events = late.take();
      assertThat(((WatchMessage.Events) events).events()).hasSize(1);
    }
  }

  private static WatchRequest watch(long from) {
    return new WatchRequest(0, Ops.ALL, from, false, false, false, false, false);
  }

  /** What is remembered of the tables goes, too: counts, leases, and which names were gathered. */
  @Test
  void whatIsRememberedOfItIsForgotten() throws SQLException {
    KeyRange range = Ops.prefix("/things/");
    store.put("/things/a", "1");
    assertThat(store.range(Ops.countOnly(range, 0, 0)).count()).isEqualTo(1);
    store.grant(7, 100);
    store.put("/leased/x", "1", 7);
    remember();
    store.put("/things/b", "1");
    assertThat(store.range(Ops.countOnly(range, 0, 0)).count()).isEqualTo(2);
    store.revoke(7);
    fallBack();
    store.put("/things/c", "1");
    assertThat(store.range(Ops.countOnly(range, 0, 0)).count()).isEqualTo(2);
    assertThat(requireNonNull(store.find("/leased/x")).lease()).isEqualTo(7);
    store.clock().advance(Duration.ofSeconds(101));
    Await.until("the lease that came back to end", () -> store.find("/leased/x") == null);
    store.reopen();
    assertThat(store.range(Ops.countOnly(range, 0, 0)).count()).isEqualTo(2);
    assertThat(store.put("/things/d", "1")).isEqualTo(store.revision());
  }
}
