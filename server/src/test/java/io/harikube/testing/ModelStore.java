package io.harikube.testing;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Commit;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.Identity;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.Lease;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Status;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.Txn;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;

/**
 * The {@link Model} as a store, so that the tests of the contract can be tested, too, and for tests
 * of what stands on a store. Everything is done on the thread of the caller; leases expire when
 * somebody calls something.
 */
public final class ModelStore implements Store, EventLog {
  private final ReentrantLock lock = new ReentrantLock();
  private final Model model;
  private final Identity identity;
  private @Nullable Consumer<Commit> listener;
  private long commits;
  private boolean closed;

  /** A store of what {@code model} holds already. */
  public ModelStore(Model model, long term) {
    this.model = model;
    this.identity = new Identity(1, 1, term);
  }

  private <T> T locked(Supplier<T> action) {
    lock.lock();
    try {
      if (closed) {
        throw new StoreException(Reason.UNAVAILABLE, "the store is closed");
      }
      for (Lease lease : model.expired()) {
        published(() -> model.revoke(lease.id()));
      }
      return published(action);
    } finally {
      lock.unlock();
    }
  }

  private <T> T published(Supplier<T> action) {
    long before = model.revision();
    T result = action.get();
    long after = model.revision();
    if (after > before) {
      commits++;
      if (listener != null) {
        List<Event> events =
            model
                .read(new KeyRange(Bytes.EMPTY, null), after, after, true, Integer.MAX_VALUE)
                .events();
        listener.accept(new Commit(before + 1, after, events));
      }
    }
    return result;
  }

  private <T> CompletableFuture<T> future(Supplier<T> action) {
    try {
      return CompletableFuture.completedFuture(locked(action));
    } catch (StoreException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  @Override
  public Identity identity() {
    return identity;
  }

  @Override
  public long revision() {
    return locked(model::revision);
  }

  @Override
  public EventLog log() {
    return this;
  }

  @Override
  public OpResult.Range range(RangeQuery query, MemoryBudget.Share budget) {
    OpResult.Range result = locked(() -> model.range(query));
    take(budget, weight(result));
    return result;
  }

  private static void take(MemoryBudget.Share budget, long weight) {
    if (!budget.tryGrow(weight)) {
      budget.restart(weight);
    }
  }

  private static long weight(OpResult result) {
    return switch (result) {
      case OpResult.Put put -> put.previous() == null ? 0 : put.previous().weight();
      case OpResult.Range range -> weight(range.kvs());
      case OpResult.Delete delete -> weight(delete.previous());
      case OpResult.Txn txn -> txn.results().stream().mapToLong(ModelStore::weight).sum();
    };
  }

  private static long weight(List<KeyValue> kvs) {
    return kvs.stream().mapToLong(KeyValue::weight).sum();
  }

  @Override
  public void stream(RangeQuery query, int partBytes, Consumer<OpResult.Range> parts) {
    OpResult.Range all = locked(() -> model.range(query));
    List<KeyValue> part = new ArrayList<>();
    long bytes = 0;
    for (KeyValue kv : all.kvs()) {
      if (!part.isEmpty() && bytes + kv.weight() > partBytes) {
        parts.accept(new OpResult.Range(all.revision(), List.copyOf(part), true, all.count()));
        part.clear();
        bytes = 0;
      }
      part.add(kv);
      bytes += kv.weight();
    }
    parts.accept(new OpResult.Range(all.revision(), List.copyOf(part), all.more(), all.count()));
  }

  @Override
  public CompletableFuture<OpResult.Txn> txn(Txn txn, MemoryBudget.Share budget) {
    return future(() -> model.txn(txn, result -> take(budget, weight(result))));
  }

  @Override
  public OpResult.Txn read(Txn txn, MemoryBudget.Share budget) {
    return model.txn(txn, result -> take(budget, weight(result)));
  }

  @Override
  public CompletableFuture<Long> compact(long revision, boolean physical) {
    return future(() -> model.compact(revision));
  }

  @Override
  public CompletableFuture<Lease> grant(long id, long ttl) {
    return future(() -> model.grant(id, ttl));
  }

  @Override
  public CompletableFuture<Long> revoke(long id) {
    return future(() -> model.revoke(id));
  }

  @Override
  public CompletableFuture<Lease> keepAlive(long id) {
    return future(() -> model.keepAlive(id));
  }

  @Override
  public @Nullable Lease lease(long id, boolean keys) {
    lock.lock();
    try {
      revision();
      return model.lease(id, keys);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<Long> leases() {
    return locked(model::leases);
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
    return locked(() -> new Status(model.revision(), model.compactedRevision(), 1, 1, commits));
  }

  @Override
  public Hash hash(long revision) {
    return locked(
        () -> {
          long at = revision == 0 ? model.revision() : revision;
          RangeQuery all = RangeQuery.of(new KeyRange(Bytes.EMPTY, null)).atRevision(at);
          CRC32 crc = new CRC32();
          for (KeyValue kv : model.range(all).kvs()) {
            crc.update(kv.key().array());
            crc.update(kv.value().array());
            crc.update(Bytes.of(kv.toString()).array());
          }
          return new Hash((int) crc.getValue(), model.revision(), at, model.compactedRevision());
        });
  }

  @Override
  public void snapshot(SnapshotSink sink) {
    throw new UnsupportedOperationException("the model writes no snapshots");
  }

  @Override
  public void defragment() {}

  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public long subscribe(Consumer<Commit> newListener) {
    return locked(
        () -> {
          listener = newListener;
          return model.revision();
        });
  }

  @Override
  public Page read(KeyRange range, long from, long to, boolean previous, int maxBytes) {
    return locked(() -> model.read(range, from, to, previous, maxBytes));
  }

  @Override
  public long compactedRevision() {
    return locked(model::compactedRevision);
  }
}
