package io.harikube.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.Model;
import io.harikube.testing.Ops;
import io.harikube.testing.TestPostgres;
import io.harikube.testing.TestStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/**
 * Crashes in the middle of many transactions, and what has to be there afterwards: all that was
 * acknowledged before, and nothing by half.
 */
final class Crashes {
  private final Database database;
  private final Random random;
  private final TestStore store;
  private final Model model;
  private long count;

  Crashes(Database database, Random random, TestStore store, Model model) {
    this.database = database;
    this.random = random;
    this.store = store;
    this.model = model;
  }

  long count() {
    return count;
  }

  /** Crashes what can crash; answers whether it did. */
  boolean happens(List<Txn> txns) {
    try {
      switch (database) {
        case MODEL -> {
          return false;
        }
        case SQLITE -> sqlite(txns);
        case POSTGRES -> postgres(txns);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    count++;
    return true;
  }

  /** The store goes on; another one is opened on what a crash would have left on the disk. */
  private void sqlite(List<Txn> txns) throws IOException {
    long compacted = model.compactedRevision();
    Burst burst = new Burst();
    burst.submit(store, txns);
    burst.awaitAnswers(random.nextInt(burst.size() + 1));
    long acknowledged = Math.max(model.revision(), burst.acknowledged());
    try (TestStore image = store.crashImage()) {
      burst.explain(model, true, false);
      long revision = image.revision();
      assertThat(revision)
          .as("the revision after the crash")
          .isBetween(acknowledged, model.revision());
      assertThat(image.all(0))
          .as("the state of %s after the crash", revision)
          .isEqualTo(List.copyOf(model.state(revision).values()));
      assertThat(image.log().compactedRevision()).isEqualTo(compacted);
      if (revision > compacted) {
        assertThat(image.events(Ops.ALL, compacted + 1, revision, true, 1 << 20))
            .isEqualTo(
                model.read(Ops.ALL, compacted + 1, revision, true, Integer.MAX_VALUE).events());
      }
      assertThat(image.store().leases()).containsExactlyInAnyOrderElementsOf(model.leases());
      assertThat(image.store().hash(revision).hash())
          .isEqualTo(store.store().hash(revision).hash());
      assertThat(image.put("after the crash", "1")).isEqualTo(revision + 1);
    }
  }

  /** The store lives through it: what it answers afterwards has to be the truth. */
  private void postgres(List<Txn> txns) throws IOException {
    TestPostgres server = TestPostgres.shared();
    Burst burst = new Burst();
    burst.submit(store, txns);
    burst.awaitAnswers(random.nextInt(burst.size() + 1));
    server.kill9();
    server.start();
    burst.explain(model, true, true);
    Await.until("the store to be back", () -> isBack().isPresent());
    assertThat(isBack()).hasValue(model.revision());
  }

  /** A transaction that changes nothing goes through the writer. */
  private Optional<Long> isBack() {
    try {
      store.range(RangeQuery.of(Ops.ALL));
      return Optional.of(store.txn(Ops.delete("nothing")).revision());
    } catch (StoreException e) {
      assertThat(e.reason()).isEqualTo(StoreException.Reason.UNAVAILABLE);
      return Optional.empty();
    }
  }
}
