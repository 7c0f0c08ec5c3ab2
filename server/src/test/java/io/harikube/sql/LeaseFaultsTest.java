package io.harikube.sql;

import static io.harikube.testing.Ops.putWithLease;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Event;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Leases whose end the database refuses, and those with more keys than one revision may delete. */
@OnSqlDatabases
final class LeaseFaultsTest {
  private final Database database;
  @AutoClose private final TestStore store;

  LeaseFaultsTest(Database database) {
    this.database = database;
    store = database.open();
  }

  /** The database refuses deletions of one key, until {@link #allow}. */
  private void refuse(String key) {
    if (database == Database.SQLITE) {
      store.execute(
          "CREATE TRIGGER refuse BEFORE INSERT ON log WHEN NEW.version = 0 AND NEW.key = CAST('%s'"
                  .formatted(key)
              + " AS BLOB) BEGIN SELECT RAISE(ABORT, 'refused'); END");
    } else {
      store.execute(
          "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN IF NEW.version = 0 AND NEW.key ="
              + " '%s'::bytea THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$"
                  .formatted(key)
              + " LANGUAGE plpgsql");
      store.execute(
          "CREATE TRIGGER refuse BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION refuse()");
    }
  }

  private void allow() {
    store.execute("DROP TRIGGER refuse" + (database == Database.SQLITE ? "" : " ON log"));
  }

  @Test
  void anEndThatWasRefusedIsTriedAgainAndHoldsUpNoOther() {
    store.grant(1, 10);
    store.grant(2, 10);
    store.put("stuck", "1", 1);
    store.put("free", "1", 2);
    refuse("stuck");
    store.clock().advance(Duration.ofSeconds(11));
    Await.until("the other lease to end", () -> store.find("free") == null);
    assertThat(store.find("stuck")).isNotNull();
    assertThat(refusal(() -> store.keepAlive(1))).isEqualTo(Reason.LEASE_NOT_FOUND);
    allow();
    Await.until(
        "the lease to end",
        () -> {
          store.clock().advance(Duration.ofSeconds(1));
          return store.find("stuck") == null;
        });
    assertThat(store.store().leases()).isEmpty();
  }

  /** Each step is a revision; from the first on the lease is gone. */
  @Test
  void aLeaseWithManyKeysEndsInSteps() {
    int keys = Leases.MOST_KEYS + 500;
    store.grant(1, 10);
    store.put("other", "1");
    store.txn(
        Ops.all(
            IntStream.range(0, keys)
                .mapToObj(i -> (Txn.Op) putWithLease("k%05d".formatted(i), "v", 1))
                .toArray(Txn.Op[]::new)));
    long before = store.revision();
    store.clock().advance(Duration.ofSeconds(11));
    Await.until("the lease to end", () -> store.store().leases().isEmpty());
    Await.until("both steps to be published", () -> store.revision() == before + 2);
    assertThat(Ops.keys(store.all(0))).containsExactly("other");
    List<Event> events = store.events(Ops.ALL, before + 1, before + 2, false, 1 << 24);
    assertThat(events).hasSize(keys).allMatch(Event::isDelete);
    assertThat(refusal(() -> store.revoke(1))).isEqualTo(Reason.LEASE_NOT_FOUND);
  }

  /** What a crash has left of it is ended, and nothing can be attached to it meanwhile. */
  @Test
  void aLeaseThatIsBeingEndedIsGone() {
    store.grant(1, 1000);
    store.put("a", "1", 1);
    refuse("a");
    store.execute("UPDATE lease SET expires_at = -1");
    assertThat(refusal(() -> store.put("b", "1", 1))).isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.keepAlive(1))).isEqualTo(Reason.LEASE_NOT_FOUND);
    assertThat(refusal(() -> store.grant(1, 10))).isEqualTo(Reason.LEASE_EXISTS);
    allow();
    store.reopen();
    Await.until("the lease to end", () -> store.find("a") == null);
  }

  /** The clock was set back while the server was away: no lease has more time than was granted. */
  @Test
  void aClockThatWasSetBackDoesNotLengthenLeases() {
    store.grant(1, 20);
    store.put("a", "1", 1);
    store.execute("UPDATE lease SET expires_at = expires_at + 3600000");
    store.reopen();
    store.clock().advance(Duration.ofSeconds(21));
    Await.until("the lease to end", () -> store.find("a") == null);
  }
}
