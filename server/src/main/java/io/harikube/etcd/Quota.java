package io.harikube.etcd;

import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.store.Store;
import java.util.List;

/**
 * How large the database may become: what makes it larger and does not fit any more is refused, and
 * raises the alarm NOSPACE, which a client has to clear. Costs are etcd's (its storage/quota.go).
 *
 * <p>The store is asked for its size only when what was admitted since the last time could have
 * filled half of what was left.
 */
final class Quota {
  private static final long KEY_COST = 256;
  static final long LEASE_COST = 64;

  private final Store store;
  private final Alarms alarms;
  private final long limit;
  private long left;

  /**
   * @param limit in bytes; 0 for none
   */
  Quota(Store store, Alarms alarms, long limit) {
    this.store = store;
    this.alarms = alarms;
    this.limit = limit;
  }

  static long cost(PutRequest request) {
    return cost(request.getKey().size(), request.getValue().size());
  }

  static long cost(long keyBytes, long valueBytes) {
    return KEY_COST + keyBytes + valueBytes;
  }

  /** That of the branch that costs more. */
  static long cost(TxnRequest request) {
    return Math.max(cost(request.getSuccessList()), cost(request.getFailureList()));
  }

  private static long cost(List<RequestOp> ops) {
    long sum = 0;
    for (RequestOp op : ops) {
      switch (op.getRequestCase()) {
        case REQUEST_PUT -> sum += cost(op.getRequestPut());
        case REQUEST_TXN -> sum += cost(op.getRequestTxn());
        default -> {}
      }
    }
    return sum;
  }

  /**
   * Does the change, or refuses it: at once, or on a thread that asks the store for its size.
   *
   * @param cost 0 for what takes no space
   */
  void admit(long cost, Answer<?> answer, Runnable change) {
    if (fits(cost)) {
      change.run();
      return;
    }
    Thread.ofVirtual()
        .name("etcd-quota")
        .start(
            () -> {
              try {
                take(cost);
                change.run();
              } catch (RuntimeException e) {
                answer.fail(e);
              }
            });
  }

  /**
   * Takes what a change costs; may ask the store, and blocks.
   *
   * @throws io.grpc.StatusRuntimeException if it does not fit
   */
  void take(long cost) {
    if (fits(cost)) {
      return;
    }
    long size = store.status().size();
    if (size + cost >= limit) {
      alarms.raiseNoSpace(store.identity().memberId());
      throw RequestCheck.refuse(Errors.NO_SPACE);
    }
    synchronized (this) {
      left = (limit - size) / 2 - cost;
    }
  }

  private synchronized boolean fits(long cost) {
    if (limit <= 0 || cost == 0) {
      return true;
    }
    if (cost > left) {
      return false;
    }
    left -= cost;
    return true;
  }
}
