package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.testing.Await;
import io.harikube.testing.Ops;
import io.harikube.testing.TestClock;
import io.harikube.testing.TestPooler;
import io.harikube.testing.TestPostgres;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Behind a pooler that hands out a connection for each transaction. */
final class PoolerTest {
  private static final int CLIENTS = 8;
  private static final int ROUNDS = 50;

  private final MemoryBudget budget = new MemoryBudget(64 << 20);

  private interface Check {
    void run(Endpoint.Postgres direct, Endpoint.Postgres pooled) throws Exception;
  }

  private static void behindPooler(Check check) throws Exception {
    TestPostgres server = TestPostgres.shared();
    Optional<TestPooler> pgbouncer = TestPooler.launch(server);
    assumeTrue(pgbouncer.isPresent(), "Debian's package pgbouncer is not installed");
    TestPostgres.Database database = server.newDatabase();
    try (TestPooler pooler = pgbouncer.get()) {
      check.run(database.endpoint(), pooler.endpoint(database.endpoint()));
    } finally {
      server.drop(database);
    }
  }

  private static Store open(Endpoint endpoint) throws OpenException {
    return SqlStore.open(SqlOptions.of(endpoint), new TestClock());
  }

  @Test
  void aStoreWorksWithoutBeingToldOfIt() throws Exception {
    behindPooler(
        (_, pooled) -> {
          try (Store store = open(pooled)) {
            List<CompletableFuture<Void>> clients =
                IntStream.range(0, CLIENTS)
                    .mapToObj(
                        client ->
                            CompletableFuture.runAsync(
                                () -> work(store, client), Thread::startVirtualThread))
                    .toList();
            clients.forEach(Await::answer);
            assertThat(store.revision()).isEqualTo(1 + CLIENTS * ROUNDS);
            assertThat(store.status().revision()).isEqualTo(1 + CLIENTS * ROUNDS);
          }
        });
  }

  private void work(Store store, int client) {
    for (int i = 0; i < ROUNDS; i++) {
      String value = "value " + i;
      try (MemoryBudget.Share share = budget.open()) {
        Await.answer(store.txn(Ops.all(Ops.put("k" + client, value)), share));
        KeyValue found = store.range(RangeQuery.of(Ops.key("k" + client)), share).kvs().getFirst();
        assertThat(found.value()).hasToString(value);
        assertThat(store.range(RangeQuery.of(Ops.ALL), share).kvs()).isNotEmpty();
      }
    }
  }

  /** Before the database is taken from whoever has it. */
  @Test
  void preparedStatementsThatItMixesUpAreRefused() throws Exception {
    behindPooler(
        (direct, pooled) -> {
          Properties properties = new Properties();
          properties.putAll(pooled.properties());
          properties.setProperty("prepareThreshold", "5");
          Endpoint mixing = new Endpoint.Postgres(pooled.url(), pooled.database(), properties);
          try (Store store = open(direct);
              MemoryBudget.Share share = budget.open()) {
            assertThatThrownBy(() -> open(mixing).close())
                .isInstanceOf(OpenException.class)
                .hasMessageContaining("prepareThreshold=0");
            assertThat(Await.answer(store.txn(Ops.all(Ops.put("a", "1")), share)).revision())
                .as("the store has not been taken over")
                .isEqualTo(2);
          }
        });
  }
}
