package io.harikube.sql;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.KeyValue;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stores that go on well above the snapshot they begin with. */
@OnSqlDatabases
final class RestoreTest {
  private static final List<Database> TARGETS = List.of(Database.SQLITE, Database.POSTGRES);

  @AutoClose private final TestStore store;
  @TempDir private Path folder = Path.of("");

  RestoreTest(Database database) {
    store = database.open();
  }

  private static long logRows(TestStore store) {
    return store.number("SELECT count(*) FROM log");
  }

  private void write() {
    store.grant(7, 600);
    for (int i = 0; i < 30; i++) {
      store.txn(put("k/" + i % 7, "v" + i), put("l/" + i % 3, "w" + i));
    }
    store.put("leased", "1", 7);
    store.txn(delete("k/3"), delete("l/1"));
  }

  @Test
  void whoKnowsTheStoreOfBeforeIsToldToReadAnew() throws Exception {
    write();
    store.compact(5);
    long old = store.revision();
    Path file = folder.resolve("snapshot");
    store.snapshot(file);
    Set<Integer> hashes = new HashSet<>();
    for (Database target : TARGETS) {
      try (TestStore restored = target.restore(file, store, new Restore.Bumped(Restore.BUMP))) {
        long now = old + Restore.BUMP;
        assertThat(restored.revision()).isEqualTo(now);
        assertThat(restored.log().compactedRevision()).isEqualTo(now);
        for (long known : new long[] {1, old - 1, old, old + 1, now - 1}) {
          assertThat(refusal(() -> restored.log().read(Ops.ALL, known, now, false, 1)))
              .isEqualTo(Reason.COMPACTED);
          assertThat(refusal(() -> restored.all(known))).isEqualTo(Reason.COMPACTED);
          assertThat(refusal(() -> restored.compact(known))).isEqualTo(Reason.COMPACTED);
        }
        assertThat(refusal(() -> restored.store().hash(old))).isEqualTo(Reason.COMPACTED);
        assertThat(restored.log().read(Ops.ALL, now, now, true, 1))
            .isEqualTo(new EventLog.Page(List.of(), now));
        assertThat(restored.all(0)).isEqualTo(store.all(0)).isEqualTo(restored.all(now));
        assertThat(restored.lease(7)).isEqualTo(store.lease(7));

        // What was superseded goes, without being asked for.
        Await.until("the compaction", () -> logRows(restored) == restored.all(0).size());
        Store.Hash hash = restored.store().hash(0);
        assertThat(hash.hashRevision()).isEqualTo(now);
        assertThat(hash.compactedRevision()).isEqualTo(now);

        hashes.add(goesOn(restored, now));
      }
    }
    assertThat(hashes).hasSize(1);
  }

  private static int goesOn(TestStore restored, long now) {
    KeyValue before = restored.get("k/0");
    assertThat(restored.range(Ops.countOnly(prefix("k/"), 0, 0)).count()).isEqualTo(6);
    assertThat(restored.put("k/0", "on")).isEqualTo(now + 1);
    KeyValue after = restored.get("k/0");
    assertThat(after.version()).isEqualTo(before.version() + 1);
    assertThat(after.createRevision()).isEqualTo(before.createRevision());
    assertThat(restored.events(Ops.ALL, now, now + 1, true, 1))
        .containsExactly(new Event(after, before));
    assertThat(restored.range(RangeQuery.of(prefix("k/")).atRevision(now)).kvs())
        .contains(before)
        .hasSize(6);
    assertThat(restored.delete("k/1")).isEqualTo(now + 2);
    assertThat(restored.range(Ops.countOnly(prefix("k/"), 0, 0)).count()).isEqualTo(5);
    restored.revoke(7);
    assertThat(restored.find("leased")).isNull();
    restored.compact(now + 2);
    int hash = restored.store().hash(0).hash();
    restored.reopen();
    assertThat(restored.revision()).isEqualTo(now + 3);
    assertThat(restored.store().hash(now + 3).hash()).isEqualTo(hash);
    restored.compact(now + 3);
    assertThat(restored.find("k/1")).isNull();
    return hash;
  }

  @Test
  void aStoreCanBeRestoredAgainAndAgain() throws Exception {
    write();
    Path file = folder.resolve("snapshot");
    store.snapshot(file);
    try (TestStore once =
        Database.SQLITE.restore(file, store, new Restore.Bumped(Restore.Bumped.MOST))) {
      Path again = folder.resolve("again");
      once.snapshot(again);
      try (TestStore twice =
          Database.SQLITE.restore(again, store, new Restore.Bumped(Restore.Bumped.LEAST))) {
        assertThat(twice.revision())
            .isEqualTo(store.revision() + Restore.Bumped.MOST + Restore.Bumped.LEAST);
        assertThat(twice.all(0)).isEqualTo(store.all(0));
      }
    }
  }

  @Test
  void thereIsNoWayBeyondTheLastRevision() {
    assertThatThrownBy(() -> new Restore.Bumped(1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Restore.Bumped(-1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Restore.Bumped(Long.MAX_VALUE))
        .isInstanceOf(IllegalArgumentException.class);
    Meta last = new Meta(Ids.MAX_REVISION - 5, -1, -1, 0, 0, 0, 1, 1, 1);
    assertThat(Ids.first(last.bumped(Ids.MAX_REVISION).revision() + 1)).isPositive();
    assertThatThrownBy(() -> last.bumped(Ids.MAX_REVISION + 1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> last.bumped(last.revision() + 1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
