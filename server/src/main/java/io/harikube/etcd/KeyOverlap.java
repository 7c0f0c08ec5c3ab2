package io.harikube.etcd;

import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Refuses a branch of a transaction that changes a key twice: puts it twice, or puts and deletes
 * it. Source: etcd's checkIntervals, with what it lets pass:
 *
 * <ul>
 *   <li>the two branches of a nested transaction may put the same key, as only one is taken;
 *   <li>a nested deletion does not clash with what nested transactions before it put;
 *   <li>a deletion up to the end of all keys ({@code range_end} of one zero byte) clashes with
 *       nothing, because the zero byte is taken for an ordinary end, below every key.
 * </ul>
 */
final class KeyOverlap {
  /** Disjoint ranges, start to end; all of them are bounded. */
  private final TreeMap<Bytes, Bytes> deletes = new TreeMap<>();

  private final Set<Bytes> puts = new HashSet<>();

  private KeyOverlap() {}

  static void check(List<RequestOp> ops) {
    // Most transactions have one operation in a branch, which cannot clash with itself.
    if (ops.size() > 1 || (ops.size() == 1 && ops.getFirst().hasRequestTxn())) {
      of(ops);
    }
  }

  private static KeyOverlap of(List<RequestOp> ops) {
    var overlap = new KeyOverlap();
    for (RequestOp op : ops) {
      if (op.hasRequestDeleteRange()) {
        overlap.addDelete(op.getRequestDeleteRange());
      }
    }
    for (RequestOp op : ops) {
      if (op.hasRequestTxn()) {
        overlap.addBranches(
            of(op.getRequestTxn().getSuccessList()), of(op.getRequestTxn().getFailureList()));
      }
    }
    for (RequestOp op : ops) {
      if (op.hasRequestPut()) {
        overlap.addPut(Wire.bytes(op.getRequestPut().getKey()), Set.of());
      }
    }
    return overlap;
  }

  private void addBranches(KeyOverlap then, KeyOverlap otherwise) {
    then.puts.forEach(key -> addPut(key, Set.of()));
    otherwise.puts.forEach(key -> addPut(key, then.puts));
    then.deletes.forEach(this::addDelete);
    otherwise.deletes.forEach(this::addDelete);
  }

  private void addPut(Bytes key, Set<Bytes> excepted) {
    boolean twice = !puts.add(key) && !excepted.contains(key);
    if (twice || isDeleted(key)) {
      throw RequestCheck.refuse(Errors.DUPLICATE_KEY);
    }
  }

  private boolean isDeleted(Bytes key) {
    Map.Entry<Bytes, Bytes> range = deletes.floorEntry(key);
    return range != null && key.compareTo(range.getValue()) < 0;
  }

  private void addDelete(DeleteRangeRequest request) {
    Bytes start = Wire.bytes(request.getKey());
    Bytes end =
        request.getRangeEnd().isEmpty() ? start.successor() : Wire.bytes(request.getRangeEnd());
    if (!new KeyRange(start, end).isEmpty()) {
      addDelete(start, end);
    }
  }

  /** Adds a range, and makes one of all that touch. */
  private void addDelete(Bytes start, Bytes end) {
    Map.Entry<Bytes, Bytes> touching = deletes.floorEntry(end);
    while (touching != null && touching.getValue().compareTo(start) >= 0) {
      deletes.remove(touching.getKey());
      start = start.compareTo(touching.getKey()) <= 0 ? start : touching.getKey();
      end = end.compareTo(touching.getValue()) >= 0 ? end : touching.getValue();
      touching = deletes.floorEntry(end);
    }
    deletes.put(start, end);
  }
}
