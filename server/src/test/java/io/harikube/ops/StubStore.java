package io.harikube.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.AttributeName;
import io.harikube.store.Commit;
import io.harikube.store.EventLog;
import io.harikube.store.Identity;
import io.harikube.store.KeyRange;
import io.harikube.store.Lease;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Status;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.Tasks;
import io.harikube.store.Txn;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** An empty store that can be broken in the ways that databases break. */
public final class StubStore implements Store, EventLog {

  /** What the database does. */
  public enum Mood {
    WELL,
    UNREACHABLE,
    /** The readers answer, the writer does not. */
    WRITER_HANGS,
    /** The readers answer, the writer is refused. */
    READ_ONLY,
    /** The readers answer from before what was acknowledged. */
    BEHIND,
    HANGS
  }

  public volatile Mood mood = Mood.WELL;
  public volatile long revision = 1;
  public volatile boolean closed;
  public final List<Long> compactions = new ArrayList<>();
  public @Nullable CompletableFuture<Long> compaction;
  public final AtomicInteger statusCalls = new AtomicInteger();
  public final AtomicInteger probes = new AtomicInteger();
  public final CompletableFuture<String> ended = new CompletableFuture<>();
  private final CountDownLatch never = new CountDownLatch(1);

  @Override
  public Tasks tasks() {
    return (Tasks)
        Proxy.newProxyInstance(
            Tasks.class.getClassLoader(),
            new Class<?>[] {Tasks.class},
            (_, method, arguments) -> {
              react();
              assertThat(method.getName()).isEqualTo("count");
              return (boolean) arguments[0] ? 1L : 2L;
            });
  }

  private void react() {
    if (mood == Mood.UNREACHABLE) {
      throw new StoreException(Reason.UNAVAILABLE, "the database cannot be reached");
    }
    if (mood == Mood.HANGS) {
      try {
        never.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new StoreException(Reason.UNAVAILABLE, "given up", e);
      }
    }
  }

  @Override
  public Identity identity() {
    return new Identity(0xc1, 0xab, 3);
  }

  @Override
  public long revision() {
    return revision;
  }

  @Override
  public EventLog log() {
    return this;
  }

  @Override
  public OpResult.Range range(RangeQuery query, MemoryBudget.Share budget) {
    react();
    return new OpResult.Range(revision, List.of(), false, 0);
  }

  @Override
  public CompletableFuture<OpResult.Txn> txn(Txn txn, MemoryBudget.Share budget) {
    if (mood == Mood.UNREACHABLE) {
      return CompletableFuture.failedFuture(
          new StoreException(Reason.UNAVAILABLE, "the database cannot be reached"));
    }
    return mood != Mood.WRITER_HANGS && mood != Mood.HANGS
        ? CompletableFuture.completedFuture(new OpResult.Txn(revision, true, List.of()))
        : new CompletableFuture<>();
  }

  @Override
  public OpResult.Txn read(Txn txn, MemoryBudget.Share budget) {
    return txn(txn, budget).join();
  }

  @Override
  public CompletableFuture<?> probe() {
    probes.incrementAndGet();
    return switch (mood) {
      case WELL, BEHIND -> CompletableFuture.completedFuture(true);
      case UNREACHABLE -> failed(Reason.UNAVAILABLE, "the database cannot be reached");
      case READ_ONLY -> failed(Reason.UNAVAILABLE, "the database is read-only");
      case WRITER_HANGS, HANGS -> new CompletableFuture<>();
    };
  }

  private static CompletableFuture<?> failed(Reason reason, String message) {
    return CompletableFuture.failedFuture(new StoreException(reason, message));
  }

  @Override
  public CompletableFuture<String> ended() {
    return ended;
  }

  @Override
  public CompletableFuture<Long> compact(long at, boolean physical) {
    react();
    compactions.add(at);
    return compaction == null ? CompletableFuture.completedFuture(revision) : compaction;
  }

  @Override
  public CompletableFuture<Void> gather(KeyRange range, List<AttributeName> names) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<Void> forget(List<AttributeName> names) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Set<AttributeName> gathered() {
    return Set.of();
  }

  @Override
  public Status status() {
    statusCalls.incrementAndGet();
    react();
    long known = mood == Mood.BEHIND ? revision - 1 : revision;
    return new Status(known, compactions.isEmpty() ? 0 : compactions.getLast(), 4096, 1024, 7);
  }

  @Override
  public long compactedRevision() {
    react();
    return compactions.isEmpty() ? 0 : compactions.getLast();
  }

  @Override
  public void close() {
    closed = true;
  }

  @Override
  public long subscribe(Consumer<Commit> listener) {
    return revision;
  }

  @Override
  public Page read(KeyRange range, long from, long to, boolean previous, int maxBytes) {
    return new Page(List.of(), to);
  }

  @Override
  public void stream(RangeQuery query, int partBytes, Consumer<OpResult.Range> parts) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<Lease> grant(long id, long ttl) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<Long> revoke(long id) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletableFuture<Lease> keepAlive(long id) {
    throw new UnsupportedOperationException();
  }

  @Override
  public @Nullable Lease lease(long id, boolean keys) {
    return null;
  }

  @Override
  public List<Long> leases() {
    return List.of();
  }

  @Override
  public Hash hash(long at) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void snapshot(SnapshotSink sink) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void defragment() {}
}
