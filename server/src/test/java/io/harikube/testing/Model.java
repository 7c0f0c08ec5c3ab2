package io.harikube.testing;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.Lease;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.Txn;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What the storage contract means, in plain collections: a list of all changes since the compacted
 * revision, and the keys before them. A read of an old revision goes through the list from the
 * start. Made to be obviously right, not fast. Used by one thread at a time.
 */
public final class Model {
  private static final int MIN_LEASE_TTL = 2;

  private final InstantSource clock;
  private final List<KeyValue> history = new ArrayList<>();
  private NavigableMap<Bytes, KeyValue> base = new TreeMap<>();
  private final NavigableMap<Long, Lease> leases = new TreeMap<>();
  private final NavigableMap<Bytes, KeyValue> live = new TreeMap<>();
  private final Deque<Runnable> undo = new ArrayDeque<>();
  private long revision = 1;
  private long compacted;

  public Model(InstantSource clock) {
    this.clock = clock;
  }

  public long revision() {
    return revision;
  }

  public long compactedRevision() {
    return compacted;
  }

  /** All keys as they were at {@code at}. */
  public NavigableMap<Bytes, KeyValue> state(long at) {
    NavigableMap<Bytes, KeyValue> state = new TreeMap<>(base);
    for (KeyValue change : history) {
      if (change.modRevision() > at) {
        break;
      }
      step(state, change);
    }
    return state;
  }

  private static void step(Map<Bytes, KeyValue> state, KeyValue change) {
    if (change.version() == 0) {
      state.remove(change.key());
    } else {
      state.put(change.key(), change);
    }
  }

  private static List<KeyValue> in(NavigableMap<Bytes, KeyValue> state, KeyRange range) {
    return state.tailMap(range.start(), true).values().stream()
        .takeWhile(kv -> range.contains(kv.key()))
        .toList();
  }

  public OpResult.Range range(RangeQuery query) {
    requireReadable(query.revision());
    return range(query, revision);
  }

  private void requireReadable(long at) {
    if (at > revision) {
      throw new StoreException(Reason.FUTURE_REVISION, "the revision is not there yet");
    }
    if (at != 0 && at < (compacted == 0 ? -1 : compacted)) {
      throw new StoreException(Reason.COMPACTED, "the revision has been compacted");
    }
  }

  private OpResult.Range range(RangeQuery query, long header) {
    long at = query.revision();
    List<KeyValue> all = in(at <= 0 || at == header ? live : state(at), query.range());
    if (query.countOnly()) {
      return new OpResult.Range(header, List.of(), false, all.size());
    }
    List<KeyValue> wanted = selected(all, query);
    boolean more = query.limit() > 0 && wanted.size() > query.limit();
    Stream<KeyValue> answer = wanted.stream().limit(more ? query.limit() : wanted.size());
    return new OpResult.Range(
        header, answer.map(kv -> query.keysOnly() ? bare(kv) : kv).toList(), more, all.size());
  }

  /**
   * The keys within the revision bounds, sorted. Where only a target is given and no order, the
   * limit and one more come first.
   */
  static List<KeyValue> selected(List<KeyValue> all, RangeQuery query) {
    boolean cut = query.order() == RangeQuery.Order.NONE && query.limit() > 0;
    return all.stream()
        .limit(cut && !query.hasRevisionBounds() ? query.limit() + 1 : all.size())
        .filter(kv -> query.minModRevision() == 0 || kv.modRevision() >= query.minModRevision())
        .filter(kv -> query.maxModRevision() == 0 || kv.modRevision() <= query.maxModRevision())
        .filter(
            kv ->
                query.minCreateRevision() == 0 || kv.createRevision() >= query.minCreateRevision())
        .filter(
            kv ->
                query.maxCreateRevision() == 0 || kv.createRevision() <= query.maxCreateRevision())
        .sorted(order(query))
        .toList();
  }

  /** The order a query asks for; keys that it does not tell apart come in their own. */
  private static Comparator<KeyValue> order(RangeQuery query) {
    Comparator<KeyValue> order =
        switch (query.target()) {
          case KEY -> Comparator.comparing(KeyValue::key);
          case VERSION -> Comparator.comparingLong(KeyValue::version);
          case CREATE -> Comparator.comparingLong(KeyValue::createRevision);
          case MOD -> Comparator.comparingLong(KeyValue::modRevision);
          case VALUE -> Comparator.comparing(KeyValue::value);
        };
    return (query.order() == RangeQuery.Order.DESCEND ? order.reversed() : order)
        .thenComparing(KeyValue::key);
  }

  private static KeyValue bare(KeyValue kv) {
    return new KeyValue(
        kv.key(), kv.createRevision(), kv.modRevision(), kv.version(), Bytes.EMPTY, kv.lease());
  }

  public OpResult.Txn txn(Txn txn) {
    return txn(txn, _ -> {});
  }

  /** Runs a transaction whose answer is acceptable; nothing has changed if it is not. */
  public OpResult.Txn txn(Txn txn, Consumer<OpResult.Txn> accept) {
    Set<Txn> holding = new HashSet<>();
    decide(txn, holding);
    check(txn, holding);
    int before = history.size();
    undo.clear();
    try {
      OpResult.Txn result = run(txn, holding, before);
      accept.accept(result);
      revision = header(before);
      return result;
    } catch (StoreException e) {
      history.subList(before, history.size()).clear();
      undo.forEach(Runnable::run);
      throw e;
    }
  }

  private void decide(Txn txn, Set<Txn> holding) {
    boolean holds = txn.compares().stream().allMatch(this::holds);
    if (holds) {
      holding.add(txn);
    }
    for (Txn.Op op : holds ? txn.success() : txn.failure()) {
      if (op instanceof Txn.Nested(Txn nested)) {
        decide(nested, holding);
      }
    }
  }

  private boolean holds(Txn.Compare compare) {
    List<KeyValue> kvs = in(live, compare.range());
    if (kvs.isEmpty() && compare.target() == Txn.Compare.Target.VALUE) {
      return false;
    }
    KeyValue missing = KeyValue.deleted(compare.range().start(), 0);
    return (kvs.isEmpty() ? List.of(missing) : kvs).stream().allMatch(kv -> holds(compare, kv));
  }

  private static boolean holds(Txn.Compare compare, KeyValue kv) {
    long number = compare.number();
    return compare
        .relation()
        .holds(
            switch (compare.target()) {
              case VERSION -> Long.compare(kv.version(), number);
              case CREATE -> Long.compare(kv.createRevision(), number);
              case MOD -> Long.compare(kv.modRevision(), number);
              case LEASE -> Long.compare(kv.lease(), number);
              case VALUE ->
                  kv.value().compareTo(compare.value() == null ? Bytes.EMPTY : compare.value());
            });
  }

  private void check(Txn txn, Set<Txn> holding) {
    for (Txn.Op op : holding.contains(txn) ? txn.success() : txn.failure()) {
      switch (op) {
        case Txn.Range(RangeQuery query) -> requireReadable(query.revision());
        case Txn.Put put -> {
          if ((put.ignoreValue() || put.ignoreLease()) && !live.containsKey(put.key())) {
            throw new StoreException(Reason.KEY_NOT_FOUND, "there is no such key");
          }
          if (put.lease() != 0) {
            requireLease(put.lease());
          }
        }
        case Txn.Delete _ -> {}
        case Txn.Nested(Txn nested) -> check(nested, holding);
      }
    }
  }

  private OpResult.Txn run(Txn txn, Set<Txn> holding, int before) {
    boolean holds = holding.contains(txn);
    List<OpResult> results = new ArrayList<>();
    for (Txn.Op op : holds ? txn.success() : txn.failure()) {
      results.add(
          switch (op) {
            case Txn.Range(RangeQuery query) -> range(query, header(before));
            case Txn.Put put -> put(put);
            case Txn.Delete delete -> delete(delete, before);
            case Txn.Nested(Txn nested) -> run(nested, holding, before);
          });
    }
    return new OpResult.Txn(header(before), holds, List.copyOf(results));
  }

  /** The next revision once the transaction that found {@code before} changes has made some. */
  private long header(int before) {
    return history.size() > before ? revision + 1 : revision;
  }

  private OpResult.Put put(Txn.Put put) {
    KeyValue old = live.get(put.key());
    if (old == null && (put.ignoreValue() || put.ignoreLease())) {
      throw new StoreException(Reason.KEY_NOT_FOUND, "there is no such key");
    }
    long next = revision + 1;
    change(
        new KeyValue(
            put.key(),
            old == null ? next : old.createRevision(),
            next,
            old == null ? 1 : old.version() + 1,
            old != null && put.ignoreValue() ? old.value() : put.value(),
            old != null && put.ignoreLease() ? old.lease() : put.lease()));
    return new OpResult.Put(next, put.previous() ? old : null);
  }

  private OpResult.Delete delete(Txn.Delete delete, int before) {
    List<KeyValue> kvs = in(live, delete.range());
    kvs.forEach(kv -> change(KeyValue.deleted(kv.key(), revision + 1)));
    return new OpResult.Delete(header(before), kvs.size(), delete.previous() ? kvs : List.of());
  }

  private void change(KeyValue kv) {
    KeyValue old = live.get(kv.key());
    undo.push(old == null ? () -> live.remove(kv.key()) : () -> live.put(old.key(), old));
    history.add(kv);
    step(live, kv);
  }

  /** Compacts; answers the current revision. */
  public long compact(long at) {
    if (at <= compacted) {
      throw new StoreException(Reason.COMPACTED, "the revision has been compacted");
    }
    if (at > revision) {
      throw new StoreException(Reason.FUTURE_REVISION, "the revision is not there yet");
    }
    base = state(at - 1);
    history.removeIf(change -> change.modRevision() < at);
    compacted = at;
    return revision;
  }

  public Lease grant(long id, long ttl) {
    if (leases.containsKey(id)) {
      throw new StoreException(Reason.LEASE_EXISTS, "there is such a lease");
    }
    long given = id == 0 ? (leases.isEmpty() ? 1 : leases.lastKey() + 1) : id;
    return renewed(given, Math.max(ttl, MIN_LEASE_TTL));
  }

  public Lease keepAlive(long id) {
    return renewed(id, requireLease(id).grantedTtl());
  }

  private Lease renewed(long id, long ttl) {
    Lease lease = new Lease(id, ttl, clock.millis() + 1000 * ttl, List.of());
    leases.put(id, lease);
    return lease;
  }

  private Lease requireLease(long id) {
    Lease lease = leases.get(id);
    if (lease == null) {
      throw new StoreException(Reason.LEASE_NOT_FOUND, "there is no such lease");
    }
    return lease;
  }

  /** Ends a lease; answers the current revision afterwards. */
  public long revoke(long id) {
    requireLease(id);
    int before = history.size();
    keys(id).forEach(key -> change(KeyValue.deleted(key, revision + 1)));
    revision = header(before);
    leases.remove(id);
    return revision;
  }

  public List<Bytes> keys(long id) {
    return live.values().stream().filter(kv -> kv.lease() == id).map(KeyValue::key).toList();
  }

  public @Nullable Lease lease(long id, boolean withKeys) {
    Lease lease = leases.get(id);
    return lease == null || !withKeys
        ? lease
        : new Lease(id, lease.grantedTtl(), lease.expiresAt(), keys(id));
  }

  public List<Long> leases() {
    return List.copyOf(leases.keySet());
  }

  /** The leases whose time is over. */
  public List<Lease> expired() {
    return leases.values().stream().filter(lease -> lease.expiresAt() <= clock.millis()).toList();
  }

  /** The events of a range from one revision to another, as a log reads them. */
  public EventLog.Page read(KeyRange range, long from, long to, boolean previous, int maxBytes) {
    if (from < compacted) {
      throw new StoreException(Reason.COMPACTED, "the revision has been compacted");
    }
    List<Event> page = new ArrayList<>();
    Map<Bytes, KeyValue> state = new TreeMap<>(base);
    long weight = 0;
    for (KeyValue change : history) {
      KeyValue old = state.get(change.key());
      step(state, change);
      long at = change.modRevision();
      if (at < from || at > to || !range.contains(change.key())) {
        continue;
      }
      Event event = new Event(change, previous && at > compacted ? old : null);
      weight += event.weight();
      if (weight > maxBytes && !page.isEmpty() && page.getLast().revision() < at) {
        return new EventLog.Page(List.copyOf(page), page.getLast().revision());
      }
      page.add(event);
    }
    return new EventLog.Page(List.copyOf(page), Math.min(to, revision));
  }
}
