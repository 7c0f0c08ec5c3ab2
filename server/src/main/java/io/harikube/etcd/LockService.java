package io.harikube.etcd;

import com.google.protobuf.ByteString;
import io.grpc.ServerServiceDefinition;
import io.harikube.etcd.proto.LockRequest;
import io.harikube.etcd.proto.LockResponse;
import io.harikube.etcd.proto.UnlockRequest;
import io.harikube.etcd.proto.UnlockResponse;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Txn;
import java.util.List;

/** etcd's Lock service. Source: etcd's api/v3lock and the Mutex that it uses. */
final class LockService {
  private final KeyQueue queue;
  private final Headers headers;
  private final RequestCheck check;
  private final Alarms alarms;
  private final Quota quota;

  LockService(KeyQueue queue, Headers headers, RequestCheck check, Alarms alarms, Quota quota) {
    this.queue = queue;
    this.headers = headers;
    this.check = check;
    this.alarms = alarms;
    this.quota = quota;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("v3lockpb.Lock")
        .addMethod(EtcdApi.LOCK, calls.blocking(KeyQueue.refusing(this::lock)))
        .addMethod(EtcdApi.UNLOCK, calls.blocking(KeyQueue.refusing(this::unlock)))
        .build();
  }

  private void lock(LockRequest request, Answer<LockResponse> answer) throws InterruptedException {
    check.size(request);
    alarms.refusePut();
    quota.take(Quota.cost(request.getName().size(), 0));
    Bytes prefix = KeyQueue.prefix(request.getName());
    long lease = queue.lease(request.getLease());
    Bytes key = KeyQueue.key(prefix, lease);
    RangeQuery mine = RangeQuery.of(KeyRange.single(key));
    OpResult.Txn entered =
        queue.txn(
            new Txn(
                List.of(KeyQueue.created(key, 0)),
                List.of(KeyQueue.put(key, Bytes.EMPTY, lease)),
                List.of(new Txn.Range(mine))),
            answer);
    KeyValue before = entered.succeeded() ? null : KeyQueue.only(entered.results().getFirst());
    long revision = before == null ? entered.revision() : before.createRevision();
    OpResult.Range held;
    try {
      if (!queue.awaitTurn(prefix, revision, answer)) {
        answer.send(locked(key, entered.revision()));
        return;
      }
      held = queue.range(mine, answer);
    } catch (InterruptedException | RuntimeException e) {
      queue.leave(() -> queue.txn(Txn.of(new Txn.Delete(KeyRange.single(key), false)), answer));
      throw e;
    }
    if (held.kvs().isEmpty()) {
      throw RequestCheck.refuse(Errors.LOCK_SESSION_EXPIRED);
    }
    answer.send(locked(key, held.revision()));
  }

  private LockResponse locked(Bytes key, long revision) {
    ByteString name = Wire.bytes(key);
    return LockResponse.newBuilder().setHeader(headers.at(revision)).setKey(name).build();
  }

  private void unlock(UnlockRequest request, Answer<UnlockResponse> answer) {
    if (request.getKey().isEmpty()) {
      throw RequestCheck.refuse(Errors.EMPTY_KEY);
    }
    alarms.refuseChange();
    KeyRange key = KeyRange.single(Wire.bytes(request.getKey()));
    OpResult.Txn deleted = queue.txn(Txn.of(new Txn.Delete(key, false)), answer);
    answer.send(UnlockResponse.newBuilder().setHeader(headers.at(deleted.revision())).build());
  }
}
