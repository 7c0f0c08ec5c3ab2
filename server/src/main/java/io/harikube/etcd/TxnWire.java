package io.harikube.etcd;

import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.DeleteRangeResponse;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.PutResponse;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.ResponseHeader;
import io.harikube.etcd.proto.ResponseOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Txn;
import java.util.ArrayList;
import java.util.List;

/** Operations and their results between the wire and the store. */
final class TxnWire {
  private TxnWire() {}

  /** A negative limit is none, as in etcd. */
  static RangeQuery query(RangeRequest request) {
    return new RangeQuery(
        Wire.range(request.getKey(), request.getRangeEnd()),
        Math.max(0, request.getLimit()),
        request.getRevision(),
        switch (request.getSortTarget()) {
          case KEY, UNRECOGNIZED -> RangeQuery.Target.KEY;
          case VERSION -> RangeQuery.Target.VERSION;
          case CREATE -> RangeQuery.Target.CREATE;
          case MOD -> RangeQuery.Target.MOD;
          case VALUE -> RangeQuery.Target.VALUE;
        },
        switch (request.getSortOrder()) {
          case NONE, UNRECOGNIZED -> RangeQuery.Order.NONE;
          case ASCEND -> RangeQuery.Order.ASCEND;
          case DESCEND -> RangeQuery.Order.DESCEND;
        },
        request.getKeysOnly(),
        request.getCountOnly(),
        request.getMinModRevision(),
        request.getMaxModRevision(),
        request.getMinCreateRevision(),
        request.getMaxCreateRevision(),
        Filter.NONE);
  }

  static Txn.Put put(PutRequest request) {
    return new Txn.Put(
        Wire.bytes(request.getKey()),
        Wire.bytes(request.getValue()),
        request.getLease(),
        request.getPrevKv(),
        request.getIgnoreValue(),
        request.getIgnoreLease());
  }

  static Txn.Delete delete(DeleteRangeRequest request) {
    return new Txn.Delete(Wire.range(request.getKey(), request.getRangeEnd()), request.getPrevKv());
  }

  /** The transaction; it has been checked. */
  static Txn txn(TxnRequest request) {
    List<Txn.Compare> compares = new ArrayList<>(request.getCompareCount());
    for (Compare compare : request.getCompareList()) {
      addCompare(compare, compares);
    }
    return new Txn(compares, ops(request.getSuccessList()), ops(request.getFailureList()));
  }

  private static List<Txn.Op> ops(List<RequestOp> ops) {
    List<Txn.Op> result = new ArrayList<>(ops.size());
    for (RequestOp op : ops) {
      result.add(
          switch (op.getRequestCase()) {
            case REQUEST_RANGE -> new Txn.Range(query(op.getRequestRange()));
            case REQUEST_PUT -> put(op.getRequestPut());
            case REQUEST_DELETE_RANGE -> delete(op.getRequestDeleteRange());
            case REQUEST_TXN -> new Txn.Nested(txn(op.getRequestTxn()));
            case REQUEST_NOT_SET -> throw RequestCheck.refuse(Errors.KEY_NOT_FOUND);
          });
    }
    return result;
  }

  /**
   * A compare whose value is that of another target compares with 0, or with no bytes. A relation
   * that is not known always holds, and a target that is not known compares as equal: so does etcd.
   */
  private static void addCompare(Compare compare, List<Txn.Compare> to) {
    KeyRange range = Wire.range(compare.getKey(), compare.getRangeEnd());
    Txn.Compare.Relation relation;
    switch (compare.getResult()) {
      case EQUAL -> relation = Txn.Compare.Relation.EQUAL;
      case GREATER -> relation = Txn.Compare.Relation.GREATER;
      case LESS -> relation = Txn.Compare.Relation.LESS;
      case NOT_EQUAL -> relation = Txn.Compare.Relation.NOT_EQUAL;
      default -> {
        if (compare.getTarget() == Compare.CompareTarget.VALUE) {
          to.add(exists(range));
        }
        return;
      }
    }
    switch (compare.getTarget()) {
      case VERSION ->
          to.add(number(range, Txn.Compare.Target.VERSION, relation, compare.getVersion()));
      case CREATE ->
          to.add(number(range, Txn.Compare.Target.CREATE, relation, compare.getCreateRevision()));
      case MOD -> to.add(number(range, Txn.Compare.Target.MOD, relation, compare.getModRevision()));
      case LEASE -> to.add(number(range, Txn.Compare.Target.LEASE, relation, compare.getLease()));
      case VALUE ->
          to.add(
              new Txn.Compare(
                  range, Txn.Compare.Target.VALUE, relation, 0, Wire.bytes(compare.getValue())));
      case UNRECOGNIZED -> {
        if (!relation.holds(0)) {
          to.add(never(range));
        }
      }
    }
  }

  private static Txn.Compare number(
      KeyRange range, Txn.Compare.Target target, Txn.Compare.Relation relation, long number) {
    return new Txn.Compare(range, target, relation, number, null);
  }

  private static Txn.Compare exists(KeyRange range) {
    return number(range, Txn.Compare.Target.CREATE, Txn.Compare.Relation.GREATER, 0);
  }

  private static Txn.Compare never(KeyRange range) {
    return number(range, Txn.Compare.Target.VERSION, Txn.Compare.Relation.LESS, Long.MIN_VALUE);
  }

  static PutResponse put(OpResult.Put result, ResponseHeader header) {
    PutResponse.Builder wire = PutResponse.newBuilder().setHeader(header);
    if (result.previous() != null) {
      wire.setPrevKv(Wire.keyValue(result.previous()));
    }
    return wire.build();
  }

  static RangeResponse range(OpResult.Range result, ResponseHeader header) {
    RangeResponse.Builder wire =
        RangeResponse.newBuilder()
            .setHeader(header)
            .setMore(result.more())
            .setCount(result.count());
    for (KeyValue kv : result.kvs()) {
      wire.addKvs(Wire.keyValue(kv));
    }
    return wire.build();
  }

  static DeleteRangeResponse delete(OpResult.Delete result, ResponseHeader header) {
    DeleteRangeResponse.Builder wire =
        DeleteRangeResponse.newBuilder().setHeader(header).setDeleted(result.deleted());
    for (KeyValue kv : result.previous()) {
      wire.addPrevKvs(Wire.keyValue(kv));
    }
    return wire.build();
  }

  static TxnResponse txn(OpResult.Txn result, ResponseHeader header) {
    TxnResponse.Builder wire =
        TxnResponse.newBuilder().setHeader(header).setSucceeded(result.succeeded());
    for (OpResult op : result.results()) {
      ResponseOp.Builder response = wire.addResponsesBuilder();
      ResponseHeader inner = Headers.inner(op.revision());
      switch (op) {
        case OpResult.Put put -> response.setResponsePut(put(put, inner));
        case OpResult.Range range -> response.setResponseRange(range(range, inner));
        case OpResult.Delete delete -> response.setResponseDeleteRange(delete(delete, inner));
        // etcd leaves the header of a nested transaction empty.
        case OpResult.Txn nested ->
            response.setResponseTxn(txn(nested, ResponseHeader.getDefaultInstance()));
      }
    }
    return wire.build();
  }
}
