package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.AttributeReader;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Compactions that meet with something that nobody has foreseen. */
@OnSqlDatabases
final class CompactorTest {
  @AutoClose private final TestStore store;

  CompactorTest(Database database) {
    store = database.open();
  }

  /** Throws where the compaction tells what it has done. */
  private record Failing(AtomicInteger left, List<Throwable> with) implements StoreMetrics {
    @Override
    public void count(Count what, long number) {
      if (what == Count.COMPACTED_ROWS && left.getAndDecrement() > 0) {
        switch (with.getFirst()) {
          case RuntimeException e -> throw e;
          case Error e -> throw e;
          default -> throw new AssertionError(with);
        }
      }
    }
  }

  private void survives(Throwable failure) throws Exception {
    for (int i = 0; i < 10; i++) {
      store.put("k", "v" + i);
    }
    long revision = store.revision();
    store.store().close();
    AtomicInteger left = new AtomicInteger(2);
    try (Store failing =
        SqlStore.open(
            store.options(),
            store.clock(),
            new Failing(left, List.of(failure)),
            AttributeReader.NONE)) {
      Await.answer(failing.compact(revision, true));
      assertThat(left.get()).isNegative();
      assertThat(store.number("SELECT count(*) FROM log")).isEqualTo(1);
    }
    store.reopen();
  }

  @Test
  void goOnAfterAnException() throws Exception {
    survives(new IllegalStateException("out of the blue"));
  }

  @Test
  void goOnAfterAnError() throws Exception {
    survives(new StackOverflowError("out of the blue"));
  }
}
