package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.harikube.etcd.proto.LeaseGrantRequest;
import io.harikube.etcd.proto.LeaseGrantResponse;
import io.harikube.etcd.proto.LeaseLeasesRequest;
import io.harikube.etcd.proto.LeaseLeasesResponse;
import io.harikube.etcd.proto.LeaseRevokeRequest;
import io.harikube.etcd.proto.LeaseRevokeResponse;
import io.harikube.etcd.proto.LeaseStatus;
import io.harikube.etcd.proto.LeaseTimeToLiveRequest;
import io.harikube.etcd.proto.LeaseTimeToLiveResponse;
import io.harikube.store.Bytes;
import io.harikube.store.Lease;
import io.harikube.store.Store;
import java.time.InstantSource;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** etcd's Lease service. */
final class LeaseService {
  /** The longest time to live, in seconds. Source: etcd's lessor. */
  private static final long MAX_TTL = 9_000_000_000L;

  private final Store store;
  private final Headers headers;
  private final RequestCheck check;
  private final Alarms alarms;
  private final Quota quota;
  private final InstantSource clock;
  private final Set<KeepAliveSession> sessions = ConcurrentHashMap.newKeySet();

  LeaseService(
      Store store,
      Headers headers,
      RequestCheck check,
      Alarms alarms,
      Quota quota,
      InstantSource clock) {
    this.store = store;
    this.headers = headers;
    this.check = check;
    this.alarms = alarms;
    this.quota = quota;
    this.clock = clock;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("etcdserverpb.Lease")
        .addMethod(EtcdApi.LEASE_GRANT, calls.async(this::grant))
        .addMethod(EtcdApi.LEASE_REVOKE, calls.async(this::revoke))
        .addMethod(
            EtcdApi.LEASE_KEEP_ALIVE,
            calls.stream(
                flow -> {
                  var session = new KeepAliveSession(flow, store, headers, sessions::remove);
                  sessions.add(session);
                  return session;
                }))
        .addMethod(EtcdApi.LEASE_TIME_TO_LIVE, calls.blocking(this::timeToLive))
        .addMethod(EtcdApi.LEASE_LEASES, calls.blocking(this::leases))
        .build();
  }

  /** Ends the keep-alive streams. */
  void stop() {
    sessions.forEach(session -> session.stop(Errors.STOPPED));
  }

  private void grant(LeaseGrantRequest request, Answer<LeaseGrantResponse> answer) {
    check.size(request);
    alarms.refusePut();
    if (request.getTTL() > MAX_TTL) {
      throw RequestCheck.refuse(Errors.LEASE_TTL_TOO_LARGE);
    }
    quota.admit(
        Quota.LEASE_COST,
        answer,
        () ->
            answer.sendWhen(
                store.grant(request.getID(), request.getTTL()),
                lease ->
                    LeaseGrantResponse.newBuilder()
                        .setHeader(headers.now())
                        .setID(lease.id())
                        .setTTL(lease.grantedTtl())
                        .build()));
  }

  private void revoke(LeaseRevokeRequest request, Answer<LeaseRevokeResponse> answer) {
    alarms.refuseChange();
    answer.sendWhen(
        store.revoke(request.getID()),
        revision -> LeaseRevokeResponse.newBuilder().setHeader(headers.at(revision)).build());
  }

  private void timeToLive(LeaseTimeToLiveRequest request, Answer<LeaseTimeToLiveResponse> answer) {
    Lease lease = store.lease(request.getID(), request.getKeys());
    var wire = LeaseTimeToLiveResponse.newBuilder().setHeader(headers.now()).setID(request.getID());
    if (lease == null) {
      answer.send(wire.setTTL(-1).build());
      return;
    }
    // A lease whose time is over lives until the store has deleted its keys.
    long left = Math.max(0, (lease.expiresAt() - clock.millis()) / 1000);
    wire.setTTL(left).setGrantedTTL(lease.grantedTtl());
    for (Bytes key : lease.keys()) {
      wire.addKeys(Wire.bytes(key));
    }
    answer.send(wire.build());
  }

  private void leases(LeaseLeasesRequest request, Answer<LeaseLeasesResponse> answer) {
    var wire = LeaseLeasesResponse.newBuilder().setHeader(headers.now());
    for (long id : store.leases()) {
      wire.addLeases(LeaseStatus.newBuilder().setID(id));
    }
    answer.send(wire.build());
  }
}
