package io.harikube.sql;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import io.harikube.store.Txn;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Pages of the log, whatever its values weigh. */
@OnSqlDatabases
final class LogPagesTest {
  private static final int[] SIZES = {0, 1, 900, 16_383, 16_384, 16_385, 100_000, 1_400_000};
  private static final KeyValue NONE = KeyValue.deleted(Bytes.EMPTY, 0);

  @AutoClose private final TestStore store;
  private final Random random = new Random(1);

  LogPagesTest(Database database) {
    store = database.open();
  }

  private Bytes value(int size) {
    byte[] value = new byte[size];
    random.nextBytes(value);
    return Bytes.of(value);
  }

  private static int weight(LogPages.Row row) {
    KeyValue previous = row.previous();
    return row.log().kv().weight() + (previous == null ? 0 : previous.weight());
  }

  private interface Read {
    LogPages.Page page(Session session, long from) throws SQLException;
  }

  private List<LogPages.Page> pages(Read read) throws SQLException {
    List<LogPages.Page> pages = new ArrayList<>();
    try (Connection connection = store.connect()) {
      connection.setAutoCommit(false);
      Session session = new Session(connection, ManyValues.Json::new);
      for (long from = 0; from >= 0; from = pages.getLast().next()) {
        pages.add(read.page(session, from));
      }
    }
    return pages;
  }

  private long end() {
    return Ids.first(store.revision() + 1);
  }

  @Test
  void everyRowIsReadOnceWithItsValueAndTheOneBefore() throws SQLException {
    for (int i = 0; i < 60; i++) {
      String key = "k" + random.nextInt(6);
      if (i % 7 == 6) {
        store.txn(delete(key));
      } else {
        store.txn(
            Ops.put(Bytes.of(key), value(SIZES[random.nextInt(SIZES.length)])),
            Ops.put(Bytes.of("l" + i), value(SIZES[i % SIZES.length])));
      }
    }
    List<LogPages.Page> pages =
        pages(
            (session, from) ->
                LogPages.read(session, new LogPages.Scan(Ops.ALL, from, end(), true, true)));
    List<LogPages.Row> rows = new ArrayList<>();
    pages.forEach(page -> rows.addAll(page.rows()));
    assertThat(rows).extracting(row -> row.log().id()).isSorted().doesNotHaveDuplicates();
    assertThat(rows).hasSize((int) store.number("SELECT count(*) FROM log"));

    Map<Bytes, KeyValue> now = new HashMap<>();
    for (LogPages.Row row : rows) {
      KeyValue kv = row.log().kv();
      KeyValue before = now.getOrDefault(kv.key(), NONE);
      assertThat(row.previous()).isEqualTo(before.version() == 0 ? null : before);
      now.put(kv.key(), kv);
    }
    now.values().removeIf(kv -> kv.version() == 0);
    assertThat(now.values()).containsExactlyInAnyOrderElementsOf(store.all(0));
    assertThat(rows.stream().filter(LogPages.Row::live).map(row -> row.log().kv()))
        .containsExactlyInAnyOrderElementsOf(store.all(0));

    assertThat(pages).hasSizeGreaterThan(5);
    for (LogPages.Page page : pages.subList(0, pages.size() - 1)) {
      int weight = page.rows().stream().mapToInt(LogPagesTest::weight).sum();
      assertThat(weight - weight(page.rows().getLast())).isLessThan(LogPages.BYTES);
    }
  }

  @Test
  void revisionsAreNotCutAndNoPageIsLargerThanIsWanted() throws SQLException {
    store.put("small", "1"); // 2
    store.txn(put("a", "x".repeat(20_000)), put("b", "x".repeat(20_000)), put("c", "1")); // 3
    store.put("small", "2"); // 4
    List<LogPages.Page> pages = pages((session, from) -> revisions(session, from, 1, 1 << 20));
    assertThat(pages.stream().map(page -> page.rows().size())).containsExactly(1, 3, 1);

    pages = pages((session, from) -> revisions(session, from, 10_000, 50_000));
    assertThat(pages.stream().map(page -> page.rows().size())).containsExactly(4, 1);

    try (Connection connection = store.connect()) {
      Session session = new Session(connection, ManyValues.Json::new);
      LogPages.Page first = revisions(session, 0, 10_000, 30_000);
      assertThat(first.rows()).hasSize(1);
      assertThat(first.next()).isEqualTo(Ids.first(3));
      LogPages.Page none = revisions(session, first.next(), 10_000, 30_000);
      assertThat(none).isEqualTo(new LogPages.Page(List.of(), Ids.first(3)));
      assertThat(revisions(session, Ids.first(4), 10_000, 30_000).rows()).hasSize(1);
    }
  }

  private LogPages.Page revisions(Session session, long from, int bytes, long most)
      throws SQLException {
    return LogPages.revisions(
        session, new LogPages.Scan(Ops.ALL, from, end(), false, false), bytes, most);
  }

  @Test
  void thousandsOfSmallRowsAreReadInFewPages() throws SQLException {
    Txn.Op[] puts = new Txn.Op[3_000];
    for (int i = 0; i < puts.length; i++) {
      puts[i] = put("k" + i, "v");
    }
    store.txn(puts);
    assertThat(pages((session, from) -> LogPages.read(session, LogPages.Scan.of(from, end()))))
        .hasSize(1);
  }
}
