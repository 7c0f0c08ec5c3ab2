package io.harikube.sql;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** A store that was written with an older schema holds the same after it has been brought on. */
@OnSqlDatabases
final class MigrationTest {
  /** Takes the tables back to version 1. */
  private static final List<String> TO_VERSION_1 =
      List.of(
          "DROP TABLE attribute",
          "DROP TABLE attribute_past",
          "DROP TABLE attribute_ready",
          "DROP TABLE task",
          "ALTER TABLE meta DROP COLUMN indexed",
          "ALTER TABLE meta DROP COLUMN server",
          "ALTER TABLE meta DROP COLUMN deposed",
          "DROP INDEX log_deleted",
          "ALTER TABLE log DROP COLUMN prev",
          "UPDATE log SET create_revision = 0 WHERE version = 0",
          "CREATE INDEX log_key ON log (key, id)",
          "UPDATE meta SET schema_version = 1");

  @AutoClose private final TestStore store;

  MigrationTest(Database database) {
    store = database.open();
  }

  @Test
  void fromVersion1() {
    for (int i = 0; i < 40; i++) {
      store.txn(put("k" + i % 7, "v" + i), put("l" + i % 3, "w" + i));
      if (i % 5 == 0) {
        store.delete("k" + i % 4);
      }
    }
    store.txn(delete("l0"), put("k0", "again"));
    store.compact(20);
    store.put("k1", "last");
    long revision = store.revision();
    List<List<KeyValue>> before = history(revision);
    List<Event> events = store.events(Ops.ALL, 21, revision, true, 1 << 20);

    store.store().close();
    TO_VERSION_1.forEach(store::execute);
    store.reopen();

    assertThat(store.number("SELECT schema_version FROM meta")).isEqualTo(Schema.VERSION);
    assertThat(history(revision)).isEqualTo(before);
    assertThat(store.events(Ops.ALL, 21, revision, true, 1 << 20)).isEqualTo(events);
    store.put("k2", "after");
    store.compact(revision);
    assertThat(store.all(revision)).isEqualTo(before.getLast());
    assertThat(store.number("SELECT count(*) FROM log")).isEqualTo(before.getLast().size() + 1);
  }

  private List<List<KeyValue>> history(long revision) {
    List<List<KeyValue>> history = new ArrayList<>();
    for (long at = 20; at <= revision; at++) {
      history.add(store.all(at));
    }
    return history;
  }
}
