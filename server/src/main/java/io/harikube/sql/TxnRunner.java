package io.harikube.sql;

import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.Txn;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Runs one transaction on a {@link Batch}: first all compares, then everything that can be refused,
 * then the operations. So a transaction that is refused has changed nothing.
 */
final class TxnRunner {
  private static final KeyValue NO_KEY = new KeyValue(Bytes.EMPTY, 0, 0, 0, Bytes.EMPTY, 0);
  private static final int FIRST_COMPARED = 16;
  private static final int COMPARE_CHUNK = 500;
  private static final long COMPARE_BYTES = 1 << 20;

  private final Batch batch;
  private final Map<Txn.Put, Attributes> attributes;
  private final MemoryBudget.Share share;
  private final @Nullable Long end;
  private long answered;

  /** A transaction with its compares decided. */
  private record Plan(boolean succeeded, List<Step> steps) {}

  /** An operation, with its plan if it is a transaction. */
  private record Step(Txn.Op op, List<Plan> nested) {}

  private TxnRunner(
      Batch batch,
      Map<Txn.Put, Attributes> attributes,
      MemoryBudget.Share share,
      @Nullable Long end) {
    this.attributes = attributes;
    this.batch = batch;
    this.share = share;
    this.end = end;
  }

  /**
   * Runs a transaction.
   *
   * @param attributes of its puts, see {@link #attributes}
   */
  static OpResult.Txn run(
      Batch batch, Txn txn, Map<Txn.Put, Attributes> attributes, MemoryBudget.Share share)
      throws SQLException {
    return new TxnRunner(batch, attributes, share, null).run(txn);
  }

  /**
   * Runs a transaction that changes nothing, by the thread of the one who asks for it.
   *
   * @param end when it is given up, as {@link System#nanoTime} tells it
   */
  static OpResult.Txn read(Batch batch, Txn txn, MemoryBudget.Share share, long end)
      throws SQLException {
    return new TxnRunner(batch, Map.of(), share, end).run(txn);
  }

  private OpResult.Txn run(Txn txn) throws SQLException {
    Plan plan = plan(txn);
    check(plan);
    List<OpResult> results = execute(plan);
    if (txn.success().size() + txn.failure().size() > 1) {
      batch.count(StoreMetrics.Count.TXNS, 1);
    }
    return new OpResult.Txn(batch.finish(), plan.succeeded, results);
  }

  /** Lets others have their turn, and ends if nobody waits any more for what is read. */
  private void pause() {
    if (end != null) {
      Reading.takeTurns();
      if (System.nanoTime() - end > 0) {
        throw new StoreException(
            Reason.UNAVAILABLE, "the transaction has been reading for too long; ask for less");
      }
    }
  }

  /** The attributes of the values of all puts that have some. */
  static Map<Txn.Put, Attributes> attributes(Txn txn, AttributeReader reader) {
    if (reader.equals(AttributeReader.NONE)) {
      return Map.of();
    }
    Map<Txn.Put, Attributes> attributes = new HashMap<>(2);
    gather(txn, reader, attributes);
    return attributes;
  }

  private static void gather(Txn txn, AttributeReader reader, Map<Txn.Put, Attributes> into) {
    for (List<Txn.Op> ops : List.of(txn.success(), txn.failure())) {
      for (Txn.Op op : ops) {
        if (op instanceof Txn.Put put) {
          into.put(put, reader.read(put.key(), put.value()));
        } else if (op instanceof Txn.Nested nested) {
          gather(nested.txn(), reader, into);
        }
      }
    }
  }

  /** What the values that a transaction may write weigh. */
  static long bytes(Txn txn) {
    return bytes(txn.success()) + bytes(txn.failure());
  }

  private static long bytes(List<Txn.Op> ops) {
    long bytes = 0;
    for (Txn.Op op : ops) {
      bytes +=
          switch (op) {
            case Txn.Put put -> put.value().size();
            case Txn.Nested nested -> bytes(nested.txn());
            default -> 0;
          };
    }
    return bytes;
  }

  /** Adds the single keys that the transaction looks at to {@code keys}. */
  static void keys(Txn txn, Set<Bytes> keys) {
    for (Txn.Compare compare : txn.compares()) {
      addSingle(compare.range(), keys);
    }
    for (List<Txn.Op> ops : List.of(txn.success(), txn.failure())) {
      for (Txn.Op op : ops) {
        switch (op) {
          case Txn.Put put -> keys.add(put.key());
          case Txn.Range range -> addSingle(range.query().range(), keys);
          case Txn.Delete delete -> addSingle(delete.range(), keys);
          case Txn.Nested nested -> keys(nested.txn(), keys);
        }
      }
    }
  }

  private static void addSingle(KeyRange range, Set<Bytes> keys) {
    if (range.isSingle()) {
      keys.add(range.start());
    }
  }

  private Plan plan(Txn txn) throws SQLException {
    boolean succeeded = true;
    for (Txn.Compare compare : txn.compares()) {
      if (!holds(compare)) {
        succeeded = false;
        break;
      }
    }
    List<Txn.Op> ops = succeeded ? txn.success() : txn.failure();
    List<Step> steps = new ArrayList<>(ops.size());
    for (Txn.Op op : ops) {
      steps.add(
          new Step(op, op instanceof Txn.Nested nested ? List.of(plan(nested.txn())) : List.of()));
    }
    return new Plan(succeeded, steps);
  }

  private boolean holds(Txn.Compare compare) throws SQLException {
    boolean keysOnly = compare.target() != Txn.Compare.Target.VALUE;
    KeyRange rest = compare.range();
    int most = FIRST_COMPARED;
    boolean any = false;
    while (rest != null) {
      pause();
      Collector chunk = new Collector(Unlimited.share(), 0);
      chunk.page(COMPARE_BYTES);
      rest = batch.live(rest, most, keysOnly, chunk);
      most = COMPARE_CHUNK;
      for (KeyValue kv : chunk.kvs()) {
        if (!holds(compare, kv)) {
          return false;
        }
        any = true;
      }
    }
    return any || (keysOnly && holds(compare, NO_KEY));
  }

  private static boolean holds(Txn.Compare compare, KeyValue kv) {
    int comparison =
        switch (compare.target()) {
          case VERSION -> Long.compare(kv.version(), compare.number());
          case CREATE -> Long.compare(kv.createRevision(), compare.number());
          case MOD -> Long.compare(kv.modRevision(), compare.number());
          case LEASE -> Long.compare(kv.lease(), compare.number());
          case VALUE -> {
            Bytes value = compare.value();
            yield kv.value().compareTo(value == null ? Bytes.EMPTY : value);
          }
        };
    return compare.relation().holds(comparison);
  }

  private void check(Plan plan) throws SQLException {
    for (Step step : plan.steps) {
      switch (step.op) {
        case Txn.Put put -> check(put);
        case Txn.Range range ->
            RangeReader.check(range.query().revision(), batch.revision(), batch.compacted());
        case Txn.Delete _ -> {}
        case Txn.Nested _ -> check(step.nested.getFirst());
      }
    }
  }

  private void check(Txn.Put put) throws SQLException {
    if ((put.ignoreValue() || put.ignoreLease()) && !batch.exists(put.key())) {
      throw new StoreException(Reason.KEY_NOT_FOUND, "there is no such key to keep a part of");
    }
    if (put.lease() != 0 && !batch.leaseExists(put.lease())) {
      throw new StoreException(Reason.LEASE_NOT_FOUND, "there is no lease " + put.lease());
    }
  }

  private List<OpResult> execute(Plan plan) throws SQLException {
    List<OpResult> results = new ArrayList<>(plan.steps.size());
    for (Step step : plan.steps) {
      results.add(
          switch (step.op) {
            case Txn.Put put -> put(put);
            case Txn.Range range -> range(range.query());
            case Txn.Delete delete -> delete(delete);
            case Txn.Nested _ -> {
              Plan nested = step.nested.getFirst();
              List<OpResult> inner = execute(nested);
              yield new OpResult.Txn(batch.seen(), nested.succeeded, inner);
            }
          });
    }
    return results;
  }

  private OpResult put(Txn.Put put) throws SQLException {
    boolean wanted = put.previous() || put.ignoreValue() || put.ignoreLease();
    KeyValue before = wanted ? batch.get(put.key()) : null;
    if (before != null && put.previous()) {
      count(before);
    }
    Bytes value = put.ignoreValue() && before != null ? before.value() : put.value();
    long lease = put.ignoreLease() && before != null ? before.lease() : put.lease();
    batch.count(StoreMetrics.Count.PUTS, 1);
    batch.put(
        put.key(),
        value,
        lease,
        put.ignoreValue() ? null : attributes.getOrDefault(put, Attributes.NONE));
    return new OpResult.Put(batch.seen(), put.previous() ? before : null);
  }

  /** Counts a previous value against the share of the answer. */
  private void count(KeyValue before) {
    Collector collector = new Collector(share, answered);
    collector.add(before);
    answered = collector.bytes();
  }

  private OpResult delete(Txn.Delete delete) throws SQLException {
    Collector deleted = delete.previous() ? new Collector(share, answered) : null;
    long count = batch.deleteRange(delete.range(), deleted);
    batch.count(StoreMetrics.Count.DELETES, count);
    if (deleted == null) {
      return new OpResult.Delete(batch.seen(), count, List.of());
    }
    answered = deleted.bytes();
    return new OpResult.Delete(batch.seen(), count, deleted.kvs());
  }

  private OpResult range(RangeQuery query) throws SQLException {
    pause();
    batch.count(StoreMetrics.Count.RANGES, 1);
    boolean old = query.revision() > 0 && query.revision() < batch.seen();
    KeyRange range = query.range();
    if (range.isEmpty()) {
      return new OpResult.Range(batch.seen(), List.of(), false, 0);
    }
    Collector collector = new Collector(share, answered, query.mostKeys());
    if (range.isSingle() && !old && !query.countOnly() && !query.hasRevisionBounds()) {
      batch.live(range, 1, query.keysOnly(), collector);
      answered = collector.bytes();
      return new OpResult.Range(batch.seen(), collector.kvs(), false, collector.size());
    }
    batch.write();
    if (query.countOnly()) {
      return new OpResult.Range(batch.seen(), List.of(), false, count(query, old));
    }
    Ranges.sorted(batch.session(), query, old ? query.revision() : 0, collector);
    collector.fill(batch.session());
    answered = collector.bytes();
    long count =
        collector.more() || query.hasRevisionBounds() ? count(query, old) : collector.size();
    return new OpResult.Range(batch.seen(), collector.kvs(), collector.more(), count);
  }

  private long count(RangeQuery query, boolean old) throws SQLException {
    return old
        ? Ranges.count(batch.session(), query.range(), query.revision())
        : Ranges.count(batch.session(), query.range());
  }
}
