package io.harikube.sql;

import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.sql.FaultyDialect.Fault;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.StoreException;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Transactions that only read, and the writer. */
@OnSqlDatabases
final class TxnReaderTest {
  private final Database database;

  TxnReaderTest(Database database) {
    this.database = database;
  }

  /** A transaction that reads all keys so many times. */
  private static Txn reads(int times) {
    return Ops.all(Collections.nCopies(times, get(Ops.ALL)).toArray(Txn.Op[]::new));
  }

  @Test
  void doNotWaitForWhatIsBeingWritten() {
    AtomicBoolean armed = new AtomicBoolean();
    CountDownLatch writing = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    try (TestStore store =
        database.openFaulty(
            call -> {
              if (call.equals("commit") && armed.compareAndSet(true, false)) {
                writing.countDown();
                try {
                  goOn.await();
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              }
              return Fault.NONE;
            })) {
      store.put("a", "1");
      armed.set(true);
      CompletableFuture<OpResult.Txn> write;
      try (MemoryBudget.Share share = store.budget().open()) {
        write = store.store().txn(Ops.all(put("a", "2")), share);
        writing.await();
        assertThat(store.txn(reads(3)).revision()).isEqualTo(2);
        assertThat(store.get("a").value()).hasToString("1");
        assertThat(write).isNotDone();
        goOn.countDown();
        assertThat(Await.answer(write).revision()).isEqualTo(3);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      } finally {
        goOn.countDown();
      }
      assertThat(store.txn(reads(1)).revision()).isEqualTo(3);
    }
  }

  /** As many as all connections could take: nobody else waits for them, and they end when told. */
  @Test
  void endWhenNobodyWaitsForThem() throws Exception {
    try (TestStore store = database.open()) {
      store.put("a", "1");
      Txn endless = reads(1_000_000);
      List<CompletableFuture<OpResult.Txn>> answers = new ArrayList<>();
      List<Thread> readers = new ArrayList<>();
      for (int i = 0; i < store.options().readers(); i++) {
        CompletableFuture<OpResult.Txn> answer = new CompletableFuture<>();
        answers.add(answer);
        readers.add(
            Thread.ofVirtual()
                .start(
                    () -> {
                      try {
                        answer.complete(store.txn(endless));
                      } catch (Throwable e) {
                        answer.completeExceptionally(e);
                      }
                    }));
      }
      for (int i = 2; i < 50; i++) {
        assertThat(store.put("a", "" + i)).isEqualTo(i + 1);
        assertThat(store.get("a").modRevision()).isEqualTo(i + 1);
        assertThat(store.range(Ops.prefix("a")).count()).isEqualTo(1);
      }
      readers.forEach(Thread::interrupt);
      for (CompletableFuture<OpResult.Txn> answer : answers) {
        assertThatThrownBy(() -> Await.answer(answer)).isInstanceOf(StoreException.class);
      }
      for (Thread reader : readers) {
        reader.join();
      }
      assertThat(store.budget().used()).isZero();
    }
  }
}
