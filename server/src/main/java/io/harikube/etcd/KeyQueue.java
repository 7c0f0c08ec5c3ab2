package io.harikube.etcd;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.Txn;
import io.harikube.watch.WatchStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Keys below a name that wait for one another in the order of their creation: the oldest has the
 * lock, or leads. Source: etcd's client/v3/concurrency, which its own services use.
 *
 * <p>All methods block, and belong on the thread of a call.
 */
final class KeyQueue {
  private static final long DEFAULT_TTL = 60;

  /** How many leave at the same time: thousands may have waited on a connection that has ended. */
  private static final int LEAVING = 32;

  private final Store store;
  private final Supplier<WatchStream> watches;
  private final Set<KeyWatch> open = ConcurrentHashMap.newKeySet();
  private final Semaphore leaving = new Semaphore(LEAVING);

  /** To look for one's turn takes the longer the more wait, and all of them do it. */
  private final Semaphore looking = new Semaphore(1, true);

  private volatile boolean stopped;

  KeyQueue(Store store, Supplier<WatchStream> watches) {
    this.store = store;
    this.watches = watches;
  }

  /**
   * The handler, whose refusals have the code that etcd's have: it answers here what its own client
   * was told, of which only the text is left.
   */
  static <Q, A> Calls.Handler<Q, A> refusing(Calls.Handler<Q, A> handler) {
    return (request, answer) -> {
      try {
        handler.handle(request, answer);
      } catch (RuntimeException | InterruptedException e) {
        Status status = Errors.of(e);
        boolean ended = status.equals(Errors.STOPPED) || status.equals(Errors.CANCELED);
        throw RequestCheck.refuse(
            ended ? status : Status.UNKNOWN.withDescription(status.getDescription()));
      }
    };
  }

  /** Where the keys of a name are. */
  static Bytes prefix(ByteString name) {
    return Wire.bytes(name.concat(ByteString.copyFromUtf8("/")));
  }

  /** The key of a lease: its id as Go prints it in hexadecimal. */
  static Bytes key(Bytes prefix, long lease) {
    String id = lease < 0 ? "-" + Long.toHexString(-lease) : Long.toHexString(lease);
    return Wire.bytes(
        Wire.bytes(prefix).concat(ByteString.copyFrom(id, StandardCharsets.US_ASCII)));
  }

  /** This lease, or a new one if it is 0. */
  long lease(long wanted) {
    return wanted != 0 ? wanted : store.grant(0, DEFAULT_TTL).join().id();
  }

  OpResult.Txn txn(Txn txn, Answer<?> call) {
    // Not the share of the call: a change goes on, and is undone, also after the client has gone.
    try (MemoryBudget.Share share = call.anotherShare()) {
      return store.txn(txn, share).join();
    }
  }

  /** Does what is left to do for a call that has ended, or has failed, unless the server stops. */
  void leave(Runnable deletion) {
    leaving.acquireUninterruptibly();
    try {
      if (!stopped) {
        deletion.run();
      }
    } finally {
      leaving.release();
    }
  }

  OpResult.Range range(RangeQuery query, Answer<?> call) {
    return store.range(query, call.share());
  }

  /** A condition: the key exists since that revision; 0, it does not exist. */
  static Txn.Compare created(Bytes key, long revision) {
    return Txn.Compare.equal(key, Txn.Compare.Target.CREATE, revision);
  }

  static Txn.Put put(Bytes key, Bytes value, long lease) {
    return new Txn.Put(key, value, lease, false, false, false);
  }

  /** The query for the key of the queue that was created first. */
  static RangeQuery first(Bytes prefix) {
    return byCreation(prefix, RangeQuery.Order.ASCEND, false, 0);
  }

  private static RangeQuery byCreation(
      Bytes prefix, RangeQuery.Order order, boolean keysOnly, long maxCreate) {
    return new RangeQuery(
        KeyRange.prefix(prefix),
        1,
        0,
        RangeQuery.Target.CREATE,
        order,
        keysOnly,
        false,
        0,
        0,
        0,
        maxCreate,
        Filter.NONE);
  }

  /** The one key of an answer, or null. */
  static @Nullable KeyValue only(OpResult range) {
    List<KeyValue> kvs = ((OpResult.Range) range).kvs();
    return kvs.isEmpty() ? null : kvs.getFirst();
  }

  /**
   * Waits until no key of the queue is older than the one that was created at {@code revision}.
   *
   * @return whether there was one
   * @throws InterruptedException if the call has ended, or the server stops
   */
  boolean awaitTurn(Bytes prefix, long revision, Answer<?> call) throws InterruptedException {
    for (boolean waited = false; ; waited = true) {
      OpResult.Range before = before(prefix, revision, call);
      KeyValue last = only(before);
      if (last == null) {
        return waited;
      }
      call.waitForOthers();
      try (KeyWatch watch = watch(KeyRange.single(last.key()), before.revision(), call)) {
        while (watch.next().events().stream().noneMatch(Event::isDelete)) {}
      }
    }
  }

  /** The key that was created last before {@code revision}. */
  private OpResult.Range before(Bytes prefix, long revision, Answer<?> call)
      throws InterruptedException {
    looking.acquire();
    try {
      return range(byCreation(prefix, RangeQuery.Order.DESCEND, true, revision - 1), call);
    } finally {
      looking.release();
    }
  }

  /** A watch for the call; to be closed. */
  KeyWatch watch(KeyRange range, long startRevision, Answer<?> call) {
    var watch = new KeyWatch(watches.get(), range, startRevision, call, open::remove);
    open.add(watch);
    if (stopped) {
      watch.close();
    }
    return watch;
  }

  /** Ends all that waits, and will wait. */
  void stop() {
    stopped = true;
    open.forEach(KeyWatch::close);
  }
}
