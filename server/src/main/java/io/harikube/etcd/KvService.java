package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.harikube.etcd.proto.CompactionRequest;
import io.harikube.etcd.proto.CompactionResponse;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.DeleteRangeResponse;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.PutResponse;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RangeStreamResponse;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Selectors;
import io.harikube.store.Store;
import io.harikube.store.Txn;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * etcd's KV service. Changes are handed to the store from the event loop and answered by the
 * store's thread; ranges block, each on its own virtual thread, and so does whatever else reads
 * more than a key.
 */
final class KvService {
  private final Store store;
  private final Headers headers;
  private final RequestCheck check;
  private final Alarms alarms;
  private final Quota quota;
  private final Selectors selectors;

  KvService(
      Store store,
      Headers headers,
      RequestCheck check,
      Alarms alarms,
      Quota quota,
      Selectors selectors) {
    this.selectors = selectors;
    this.store = store;
    this.headers = headers;
    this.check = check;
    this.alarms = alarms;
    this.quota = quota;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("etcdserverpb.KV")
        .addMethod(EtcdApi.RANGE, calls.reading(this::range))
        .addMethod(EtcdApi.RANGE_STREAM, calls.blocking(this::rangeStream))
        .addMethod(EtcdApi.PUT, calls.async(this::put))
        .addMethod(EtcdApi.DELETE_RANGE, calls.async(this::delete))
        .addMethod(EtcdApi.TXN, calls.async(this::txn, RequestCheck::scans))
        .addMethod(EtcdApi.COMPACT, calls.async(this::compact))
        .build();
  }

  private void range(RangeRequest request, Answer<RangeResponse> answer) {
    RequestCheck.range(request);
    if (selects(request)) {
      answer.block(() -> scan(selected(request), answer));
      return;
    }
    RangeQuery query = query(request);
    if (!query.isPoint()) {
      answer.block(() -> scan(query, answer));
      return;
    }
    CompletableFuture<OpResult.@Nullable Range> point = store.get(query, answer.share());
    var _ =
        point.whenComplete(
            (found, failure) -> {
              if (failure != null) {
                answer.fail(failure);
              } else if (found != null) {
                answer.sendWhen(CompletableFuture.completedFuture(found), this::response);
              } else {
                answer.block(() -> scan(query, answer));
              }
            });
  }

  private void scan(RangeQuery query, Answer<RangeResponse> answer) {
    OpResult.Range result = store.range(query, answer.share());
    if (answer.isCancelled()) {
      throw RequestCheck.refuse(Errors.CANCELED);
    }
    answer.send(response(result));
  }

  private RangeResponse response(OpResult.Range result) {
    return TxnWire.range(result, headers.at(result.revision()));
  }

  private static boolean selects(RangeRequest request) {
    return !request.getLabelSelector().isEmpty() || !request.getFieldSelector().isEmpty();
  }

  /** A negative revision is the current one, though not in a transaction: as in etcd. */
  private static RangeQuery query(RangeRequest request) {
    return TxnWire.query(request).atRevision(Math.max(0, request.getRevision()));
  }

  /** Selectors are for ranges on their own: a transaction answers all keys. */
  private RangeQuery selected(RangeRequest request) throws InterruptedException {
    RangeQuery query = query(request);
    if (!selects(request)) {
      return query;
    }
    selectors.settle(query.range());
    Selectors.Selected selected =
        selectors.select(query.range(), request.getLabelSelector(), request.getFieldSelector());
    return query.within(selected.range()).filtered(selected.filter());
  }

  private void rangeStream(RangeRequest request, Answer<RangeStreamResponse> answer)
      throws InterruptedException {
    RequestCheck.rangeStream(request);
    RangeQuery query = selected(request);
    if (request.getCountOnly()) {
      OpResult.Range count = store.range(query, answer.share());
      if (answer.push(RangeStream.last(count, headers))) {
        answer.end();
        return;
      }
      throw RequestCheck.refuse(Errors.CANCELED);
    }
    new RangeStream(answer, headers).run(store, query);
  }

  private void put(PutRequest request, Answer<PutResponse> answer) {
    RequestCheck.put(request);
    check.size(request);
    alarms.refusePut();
    quota.admit(
        Quota.cost(request),
        answer,
        () ->
            answer.sendWhen(
                store.txn(Txn.of(TxnWire.put(request)), answer.share()),
                result ->
                    TxnWire.put(
                        (OpResult.Put) result.results().getFirst(),
                        headers.at(result.revision()))));
  }

  private void delete(DeleteRangeRequest request, Answer<DeleteRangeResponse> answer) {
    RequestCheck.delete(request);
    check.size(request);
    alarms.refuseChange();
    answer.sendWhen(
        store.txn(Txn.of(TxnWire.delete(request)), answer.share()),
        result ->
            TxnWire.delete(
                (OpResult.Delete) result.results().getFirst(), headers.at(result.revision())));
  }

  private void txn(TxnRequest request, Answer<TxnResponse> answer) {
    check.txn(request);
    if (!RequestCheck.isReadOnly(request)) {
      check.size(request);
      if (RequestCheck.hasPut(request)) {
        alarms.refusePut();
      } else {
        alarms.refuseChange();
      }
    }
    Txn txn = TxnWire.txn(request);
    if (txn.isReadOnly()) {
      answer.block(() -> answer.send(response(store.read(txn, answer.share()))));
      return;
    }
    quota.admit(
        Quota.cost(request),
        answer,
        () -> answer.sendWhen(store.txn(txn, answer.share()), this::response));
  }

  private TxnResponse response(OpResult.Txn result) {
    return TxnWire.txn(result, headers.at(result.revision()));
  }

  private void compact(CompactionRequest request, Answer<CompactionResponse> answer) {
    alarms.refuseChange();
    answer.sendWhen(
        store.compact(request.getRevision(), request.getPhysical()),
        revision -> CompactionResponse.newBuilder().setHeader(headers.at(revision)).build());
  }
}
