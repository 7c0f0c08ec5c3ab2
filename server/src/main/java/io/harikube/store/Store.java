package io.harikube.store;

import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A store of keys with their history.
 *
 * <p>Calls that answer a future never block and may come from any thread; the future is completed
 * on a thread of the store, which must not be held up. Calls that answer a value block and belong
 * on virtual threads. Both fail with {@link StoreException}.
 */
public interface Store extends AutoCloseable {

  Identity identity();

  /**
   * The current revision, as last published: every event up to it has been handed to the log's
   * listener.
   */
  long revision();

  EventLog log();

  /**
   * Reads a range.
   *
   * @param budget what the answer's memory is counted against; the caller closes it when the answer
   *     is gone
   * @throws StoreException {@code COMPACTED}, {@code FUTURE_REVISION}, {@code TOO_LARGE} if the
   *     answer can never fit into the budget, {@code UNAVAILABLE}
   */
  OpResult.Range range(RangeQuery query, MemoryBudget.Share budget);

  /**
   * Reads one key, unless that takes more than one look at it.
   *
   * @param query one that {@link RangeQuery#isPoint}
   * @param budget as for {@link #range}
   * @return completed with null if the key has to be read with {@link #range}
   */
  default CompletableFuture<OpResult.@Nullable Range> get(
      RangeQuery query, MemoryBudget.Share budget) {
    return CompletableFuture.completedFuture(null);
  }

  /**
   * Reads a range in parts, all at one revision, without ever holding more than one part. The keys
   * come in key order; the query must not ask for another. {@code count} and {@code more} of a part
   * speak of the whole range and are right in the last part.
   */
  void stream(RangeQuery query, int partBytes, Consumer<OpResult.Range> parts);

  /**
   * Runs a transaction, after all that were handed over before it.
   *
   * @param budget what the answer's memory is counted against
   * @return completed after the transaction is durable; with {@code COMPACTED}, {@code
   *     FUTURE_REVISION}, {@code KEY_NOT_FOUND}, {@code LEASE_NOT_FOUND}, {@code TOO_LARGE}, {@code
   *     UNAVAILABLE} or {@code REFUSED} if it was not done
   */
  CompletableFuture<OpResult.Txn> txn(Txn txn, MemoryBudget.Share budget);

  /**
   * Runs a transaction that is {@link Txn#isReadOnly}, on one state of the store that is not older
   * than what had been answered before.
   *
   * @param budget as for {@link #range}
   * @throws StoreException as {@link #txn}
   */
  OpResult.Txn read(Txn txn, MemoryBudget.Share budget);

  /**
   * Compacts the history below {@code revision}.
   *
   * @param physical complete the future only when the space has been given back, too
   * @return the current revision; {@code COMPACTED} if that has been done already, {@code
   *     FUTURE_REVISION} if the revision does not exist yet
   */
  CompletableFuture<Long> compact(long revision, boolean physical);

  /**
   * Grants a lease.
   *
   * @param id the id it shall have; 0 to be given one
   * @param ttl seconds
   * @return the lease; {@code LEASE_EXISTS}
   */
  CompletableFuture<Lease> grant(long id, long ttl);

  /**
   * Ends a lease and deletes its keys, all at one revision.
   *
   * @return the current revision afterwards; {@code LEASE_NOT_FOUND}
   */
  CompletableFuture<Long> revoke(long id);

  /**
   * Lets a lease live for its whole time again.
   *
   * @return the lease, durably renewed; {@code LEASE_NOT_FOUND}
   */
  CompletableFuture<Lease> keepAlive(long id);

  /** The lease, or null if there is none; with its keys if {@code keys}. */
  @Nullable Lease lease(long id, boolean keys);

  /** The ids of all leases, the one that expires first in front. */
  List<Long> leases();

  /**
   * Gathers attributes that the reader of attributes now knows and did not know before, of all keys
   * of a range. Ranges rely on them from then on, also after the next start; until then they look
   * at the values. Whoever forgets a name meanwhile ends this for that name.
   *
   * @param names of {@link AttributeName#added}
   */
  CompletableFuture<Void> gather(KeyRange range, List<AttributeName> names);

  /**
   * Says that the reader of attributes is going to know these names no more; to be waited for
   * before it does so.
   */
  CompletableFuture<Void> forget(List<AttributeName> names);

  /** The names that have been gathered, by this process or before. */
  Set<AttributeName> gathered();

  /** What is to be done because of changes. */
  default Tasks tasks() {
    return Tasks.NONE;
  }

  Status status();

  /**
   * A checksum over all keys and values at {@code revision}.
   *
   * @param revision 0 for the current revision; a negative one is a revision without any key
   */
  Hash hash(long revision);

  /**
   * Writes the whole store, as of one revision, as a file that {@code harikube restore} reads.
   * There is one such file at a time: others wait until it has been taken.
   */
  void snapshot(SnapshotSink sink) throws IOException;

  /** Gives space that is no longer used back to the file system. */
  void defragment();

  /**
   * Writes what no client sees, durably, as the writer writes everything: for health checks. It
   * takes no revision. Fails for whatever reason a put would fail now.
   */
  default CompletableFuture<?> probe() {
    return CompletableFuture.completedFuture(true);
  }

  /**
   * Completed, with one sentence that says why, when this process can never again use the database:
   * another server has taken it over. From then on every call fails with {@code UNAVAILABLE}.
   */
  default CompletableFuture<String> ended() {
    return new CompletableFuture<>();
  }

  @Override
  void close();

  /**
   * A checksum.
   *
   * @param revision the current revision of the store
   * @param hashRevision the revision it is of
   * @param compactedRevision the compacted revision at that time
   */
  record Hash(int hash, long revision, long hashRevision, long compactedRevision) {}

  /** Takes a snapshot. */
  @FunctionalInterface
  interface SnapshotSink {
    /**
     * Called once, when the size is known.
     *
     * @param size the bytes that follow
     * @param revision the revision of the snapshot
     * @return where the bytes go
     */
    OutputStream begin(long size, long revision) throws IOException;

    /** Whether nobody wants the snapshot any more. */
    default boolean isCancelled() {
      return false;
    }
  }
}
