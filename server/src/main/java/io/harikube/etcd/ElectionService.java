package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.grpc.StatusRuntimeException;
import io.harikube.etcd.proto.CampaignRequest;
import io.harikube.etcd.proto.CampaignResponse;
import io.harikube.etcd.proto.LeaderKey;
import io.harikube.etcd.proto.LeaderRequest;
import io.harikube.etcd.proto.LeaderResponse;
import io.harikube.etcd.proto.ProclaimRequest;
import io.harikube.etcd.proto.ProclaimResponse;
import io.harikube.etcd.proto.ResignRequest;
import io.harikube.etcd.proto.ResignResponse;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Txn;
import java.util.List;

/** etcd's Election service. Source: etcd's api/v3election and the Election that it uses. */
final class ElectionService {
  private final KeyQueue queue;
  private final Headers headers;
  private final RequestCheck check;
  private final Alarms alarms;
  private final Quota quota;

  ElectionService(KeyQueue queue, Headers headers, RequestCheck check, Alarms alarms, Quota quota) {
    this.queue = queue;
    this.headers = headers;
    this.check = check;
    this.alarms = alarms;
    this.quota = quota;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("v3electionpb.Election")
        .addMethod(EtcdApi.CAMPAIGN, calls.blocking(KeyQueue.refusing(this::campaign)))
        .addMethod(EtcdApi.PROCLAIM, calls.blocking(KeyQueue.refusing(this::proclaim)))
        .addMethod(EtcdApi.LEADER, calls.blocking(KeyQueue.refusing(this::leader)))
        .addMethod(EtcdApi.OBSERVE, calls.blocking(KeyQueue.refusing(this::observe)))
        .addMethod(EtcdApi.RESIGN, calls.blocking(KeyQueue.refusing(this::resign)))
        .build();
  }

  private void campaign(CampaignRequest request, Answer<CampaignResponse> answer)
      throws InterruptedException {
    check.size(request);
    alarms.refusePut();
    quota.take(Quota.cost(request.getName().size(), request.getValue().size()));
    Bytes prefix = KeyQueue.prefix(request.getName());
    Bytes value = Wire.bytes(request.getValue());
    long lease = queue.lease(request.getLease());
    Bytes key = KeyQueue.key(prefix, lease);
    OpResult.Txn entered =
        queue.txn(
            new Txn(
                List.of(KeyQueue.created(key, 0)),
                List.of(KeyQueue.put(key, value, lease)),
                List.of(new Txn.Range(RangeQuery.of(KeyRange.single(key))))),
            answer);
    KeyValue before = entered.succeeded() ? null : KeyQueue.only(entered.results().getFirst());
    long created = before == null ? entered.revision() : before.createRevision();
    if (before != null && !before.value().equals(value)) {
      proclaim(key, created, value, lease, answer);
    }
    try {
      queue.awaitTurn(prefix, created, answer);
    } catch (InterruptedException | RuntimeException e) {
      boolean gone = e instanceof InterruptedException || answer.isCancelled();
      if (gone) {
        queue.leave(() -> resign(key, created, answer));
      }
      throw e;
    }
    answer.send(
        CampaignResponse.newBuilder()
            .setHeader(headers.at(entered.revision()))
            .setLeader(
                LeaderKey.newBuilder()
                    .setName(request.getName())
                    .setKey(Wire.bytes(key))
                    .setRev(created)
                    .setLease(lease))
            .build());
  }

  private void proclaim(ProclaimRequest request, Answer<ProclaimResponse> answer) {
    if (!request.hasLeader()) {
      throw RequestCheck.refuse(Errors.LEADER_MISSING);
    }
    if (request.getLeader().getKey().isEmpty()) {
      throw RequestCheck.refuse(Errors.EMPTY_KEY);
    }
    check.size(request);
    alarms.refusePut();
    quota.take(Quota.cost(request.getLeader().getKey().size(), request.getValue().size()));
    LeaderKey leader = request.getLeader();
    long revision =
        proclaim(
            Wire.bytes(leader.getKey()),
            leader.getRev(),
            Wire.bytes(request.getValue()),
            queue.lease(leader.getLease()),
            answer);
    answer.send(ProclaimResponse.newBuilder().setHeader(headers.at(revision)).build());
  }

  /** Answers the revision of the proclamation. */
  private long proclaim(Bytes key, long created, Bytes value, long lease, Answer<?> answer) {
    OpResult.Txn done =
        queue.txn(
            new Txn(
                List.of(KeyQueue.created(key, created)),
                List.of(KeyQueue.put(key, value, lease)),
                List.of()),
            answer);
    if (!done.succeeded()) {
      throw RequestCheck.refuse(Errors.NOT_LEADER);
    }
    return done.revision();
  }

  private void leader(LeaderRequest request, Answer<LeaderResponse> answer) {
    OpResult.Range first = queue.range(KeyQueue.first(KeyQueue.prefix(request.getName())), answer);
    if (first.kvs().isEmpty()) {
      throw RequestCheck.refuse(Errors.NO_LEADER);
    }
    answer.send(response(first.revision(), first.kvs().getFirst()));
  }

  /** Tells each proclamation of each leader; a leader who came and went meanwhile is left out. */
  private void observe(LeaderRequest request, Answer<LeaderResponse> answer)
      throws InterruptedException {
    Bytes prefix = KeyQueue.prefix(request.getName());
    try {
      boolean listening = true;
      while (listening) {
        answer.waitForOthers();
        OpResult.Range first = queue.range(KeyQueue.first(prefix), answer);
        LeaderResponse current =
            first.kvs().isEmpty()
                ? firstPut(prefix, first.revision(), answer)
                : response(first.revision(), first.kvs().getFirst());
        listening = answer.push(current) && followLeader(current, answer);
      }
      throw RequestCheck.refuse(Errors.CANCELED);
    } catch (StatusRuntimeException e) {
      if (e.getStatus().equals(Errors.CANCELED)) {
        throw e;
      }
      answer.end(); // as etcd ends a stream whose watch cannot go on
    }
  }

  /** Waits for the first key of an election without a leader. */
  private LeaderResponse firstPut(Bytes prefix, long from, Answer<?> answer)
      throws InterruptedException {
    try (KeyWatch watch = queue.watch(KeyRange.prefix(prefix), from, answer)) {
      while (true) {
        for (Event event : watch.next().events()) {
          if (!event.isDelete()) {
            return response(event.kv().modRevision(), event.kv());
          }
        }
      }
    }
  }

  /** Tells the proclamations of one leader until its key is deleted; false if nobody listens. */
  private boolean followLeader(LeaderResponse leader, Answer<LeaderResponse> answer)
      throws InterruptedException {
    KeyRange key = KeyRange.single(Wire.bytes(leader.getKv().getKey()));
    long from = leader.getHeader().getRevision() + 1;
    try (KeyWatch watch = queue.watch(key, from, answer)) {
      while (true) {
        KeyWatch.Step step = watch.next();
        for (Event event : step.events()) {
          if (event.isDelete()) {
            return true;
          }
          if (!answer.push(response(step.revision(), event.kv()))) {
            return false;
          }
        }
      }
    }
  }

  private LeaderResponse response(long revision, KeyValue kv) {
    return LeaderResponse.newBuilder()
        .setHeader(headers.at(revision))
        .setKv(Wire.keyValue(kv))
        .build();
  }

  private void resign(ResignRequest request, Answer<ResignResponse> answer) {
    if (!request.hasLeader()) {
      throw RequestCheck.refuse(Errors.LEADER_MISSING);
    }
    alarms.refuseChange();
    LeaderKey leader = request.getLeader();
    if (leader.getKey().isEmpty()) {
      throw RequestCheck.refuse(Errors.EMPTY_KEY);
    }
    long revision = resign(Wire.bytes(leader.getKey()), leader.getRev(), answer);
    answer.send(ResignResponse.newBuilder().setHeader(headers.at(revision)).build());
  }

  /** Answers the revision afterwards, also if somebody else leads by now. */
  private long resign(Bytes key, long created, Answer<?> answer) {
    return queue
        .txn(
            new Txn(
                List.of(KeyQueue.created(key, created)),
                List.of(new Txn.Delete(KeyRange.single(key), false)),
                List.of()),
            answer)
        .revision();
  }
}
