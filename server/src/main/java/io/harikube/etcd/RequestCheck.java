package io.harikube.etcd;

import com.google.protobuf.MessageLite;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import java.util.List;
import java.util.stream.Stream;

/**
 * What etcd refuses before it looks at the store, in etcd's order. Source: etcd's api/v3rpc/key.go.
 * Every check throws the error that the client gets.
 *
 * @param maxRequestBytes the largest change, measured as etcd measures it: as an entry of its raft
 *     log
 * @param maxTxnOps how many compares, or operations of a branch, a transaction may have; what it
 *     has is subtracted for the transactions in it
 */
record RequestCheck(int maxRequestBytes, int maxTxnOps) {
  // The entry's header: two bytes of tag, one of length, one of tag, and an id of nine bytes, as
  // the member of an etcd of one member makes them.
  private static final int RAFT_HEADER = 13;

  static void range(RangeRequest request) {
    if (request.getKey().isEmpty()) {
      throw refuse(Errors.EMPTY_KEY);
    }
    if (request.getSortOrder() == RangeRequest.SortOrder.UNRECOGNIZED
        || request.getSortTarget() == RangeRequest.SortTarget.UNRECOGNIZED) {
      throw refuse(Errors.INVALID_SORT_OPTION);
    }
  }

  /** Source: etcd 3.7's checkRangeStreamRequest. */
  static void rangeStream(RangeRequest request) {
    range(request);
    boolean keyOrder =
        request.getSortOrder() == RangeRequest.SortOrder.NONE
            || (request.getSortTarget() == RangeRequest.SortTarget.KEY
                && request.getSortOrder() == RangeRequest.SortOrder.ASCEND);
    if (!keyOrder) {
      throw refuse(Errors.STREAM_SORT);
    }
    if (request.getMinModRevision() != 0
        || request.getMaxModRevision() != 0
        || request.getMinCreateRevision() != 0
        || request.getMaxCreateRevision() != 0) {
      throw refuse(Errors.STREAM_BOUNDS);
    }
  }

  static void put(PutRequest request) {
    if (request.getKey().isEmpty()) {
      throw refuse(Errors.EMPTY_KEY);
    }
    if (request.getIgnoreValue() && !request.getValue().isEmpty()) {
      throw refuse(Errors.VALUE_PROVIDED);
    }
    if (request.getIgnoreLease() && request.getLease() != 0) {
      throw refuse(Errors.LEASE_PROVIDED);
    }
  }

  static void delete(DeleteRangeRequest request) {
    if (request.getKey().isEmpty()) {
      throw refuse(Errors.EMPTY_KEY);
    }
  }

  void txn(TxnRequest request) {
    txn(request, maxTxnOps);
    KeyOverlap.check(request.getSuccessList());
    KeyOverlap.check(request.getFailureList());
    if (changes(request) && scans(request) > maxTxnOps) {
      throw refuse(Errors.TOO_MANY_OPS);
    }
  }

  /** Whether there is anything but ranges in the transaction, or in one that is in it. */
  private static boolean changes(TxnRequest request) {
    return Stream.of(request.getSuccessList(), request.getFailureList())
        .flatMap(List::stream)
        .anyMatch(op -> op.hasRequestTxn() ? changes(op.getRequestTxn()) : !op.hasRequestRange());
  }

  /** How often the database would have to be asked for a range, while nobody else can write. */
  static int scans(TxnRequest request) {
    int scans = 0;
    for (List<RequestOp> ops : List.of(request.getSuccessList(), request.getFailureList())) {
      for (RequestOp op : ops) {
        scans +=
            switch (op.getRequestCase()) {
              case REQUEST_RANGE -> op.getRequestRange().getRangeEnd().isEmpty() ? 0 : 1;
              case REQUEST_DELETE_RANGE ->
                  op.getRequestDeleteRange().getRangeEnd().isEmpty() ? 0 : 1;
              case REQUEST_TXN -> scans(op.getRequestTxn());
              case REQUEST_PUT, REQUEST_NOT_SET -> 0;
            };
      }
    }
    for (Compare compare : request.getCompareList()) {
      scans += compare.getRangeEnd().isEmpty() ? 0 : 1;
    }
    return scans;
  }

  private static void txn(TxnRequest request, int maxOps) {
    int ops =
        Math.max(
            request.getCompareCount(),
            Math.max(request.getSuccessCount(), request.getFailureCount()));
    if (ops > maxOps) {
      throw refuse(Errors.TOO_MANY_OPS);
    }
    for (Compare compare : request.getCompareList()) {
      if (compare.getKey().isEmpty()) {
        throw refuse(Errors.EMPTY_KEY);
      }
    }
    ops(request.getSuccessList(), maxOps - ops);
    ops(request.getFailureList(), maxOps - ops);
  }

  private static void ops(List<RequestOp> ops, int maxOps) {
    for (RequestOp op : ops) {
      switch (op.getRequestCase()) {
        case REQUEST_RANGE -> range(op.getRequestRange());
        case REQUEST_PUT -> put(op.getRequestPut());
        case REQUEST_DELETE_RANGE -> delete(op.getRequestDeleteRange());
        case REQUEST_TXN -> txn(op.getRequestTxn(), maxOps);
        case REQUEST_NOT_SET -> throw refuse(Errors.KEY_NOT_FOUND);
      }
    }
  }

  /**
   * Refuses a change that would not fit into an entry of etcd's raft log.
   *
   * @return its size
   */
  int size(MessageLite change) {
    int size = change.getSerializedSize();
    int varint = (38 - Integer.numberOfLeadingZeros(size | 1)) / 7;
    if (RAFT_HEADER + 1 + varint + size > maxRequestBytes) {
      throw refuse(Errors.REQUEST_TOO_LARGE);
    }
    return size;
  }

  /**
   * Whether the transaction has nothing but ranges; one with a transaction in it counts as a
   * change, as in etcd.
   */
  static boolean isReadOnly(TxnRequest request) {
    return request.getSuccessList().stream().allMatch(RequestOp::hasRequestRange)
        && request.getFailureList().stream().allMatch(RequestOp::hasRequestRange);
  }

  /** Whether the transaction could need space: whether there is a put in it. */
  static boolean hasPut(TxnRequest request) {
    return hasPut(request.getSuccessList()) || hasPut(request.getFailureList());
  }

  private static boolean hasPut(List<RequestOp> ops) {
    return ops.stream()
        .anyMatch(op -> op.hasRequestPut() || (op.hasRequestTxn() && hasPut(op.getRequestTxn())));
  }

  static StatusRuntimeException refuse(Status status) {
    return status.asRuntimeException();
  }
}
