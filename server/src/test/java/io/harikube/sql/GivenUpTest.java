package io.harikube.sql;

import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Ranges that nobody waits for any more, or whose database another writer takes over. */
@OnSqlDatabases
final class GivenUpTest {
  private static final int KEYS = 40;
  private static final int PART = 1000;

  @AutoClose private final TestStore store;

  GivenUpTest(Database database) {
    store = database.open();
    for (int i = 0; i < KEYS; i++) {
      store.put("k/" + i, "v".repeat(PART));
    }
  }

  @Test
  void aStreamEndsWhenItsThreadIsInterrupted() {
    List<OpResult.Range> parts = new ArrayList<>();
    Reason reason =
        refusal(
            () ->
                store.store().stream(
                    RangeQuery.of(prefix("k/")),
                    PART,
                    part -> {
                      parts.add(part);
                      Thread.currentThread().interrupt();
                    }));
    assertThat(Thread.interrupted()).isTrue();
    assertThat(reason).isEqualTo(Reason.UNAVAILABLE);
    assertThat(parts).hasSize(1);
  }

  @Test
  void aListIsNotBegun() {
    Thread.currentThread().interrupt();
    Reason reason = refusal(() -> store.range(prefix("k/")));
    assertThat(Thread.interrupted()).isTrue();
    assertThat(reason).isEqualTo(Reason.UNAVAILABLE);
    assertThat(store.range(prefix("k/")).kvs()).hasSize(KEYS);
  }

  /** It may be another copy of the database, without what the parts before are of. */
  @Test
  void aStreamEndsWhenTheDatabaseIsTakenOver() {
    List<OpResult.Range> parts = new ArrayList<>();
    Reason reason =
        refusal(
            () ->
                store.store().stream(
                    RangeQuery.of(prefix("k/")),
                    PART,
                    part -> {
                      parts.add(part);
                      store.execute("UPDATE meta SET epoch = epoch + 1");
                    }));
    assertThat(reason).isEqualTo(Reason.UNAVAILABLE);
    assertThat(parts).hasSize(1);
    assertThat(store.range(prefix("k/")).kvs()).hasSize(KEYS);
  }
}
