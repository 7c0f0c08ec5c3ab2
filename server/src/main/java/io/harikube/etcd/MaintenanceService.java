package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.harikube.etcd.proto.AlarmMember;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmResponse;
import io.harikube.etcd.proto.AlarmType;
import io.harikube.etcd.proto.DefragmentRequest;
import io.harikube.etcd.proto.DefragmentResponse;
import io.harikube.etcd.proto.DowngradeInfo;
import io.harikube.etcd.proto.DowngradeRequest;
import io.harikube.etcd.proto.DowngradeResponse;
import io.harikube.etcd.proto.HashKVRequest;
import io.harikube.etcd.proto.HashKVResponse;
import io.harikube.etcd.proto.HashRequest;
import io.harikube.etcd.proto.HashResponse;
import io.harikube.etcd.proto.MoveLeaderRequest;
import io.harikube.etcd.proto.MoveLeaderResponse;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.etcd.proto.SnapshotResponse;
import io.harikube.etcd.proto.StatusRequest;
import io.harikube.etcd.proto.StatusResponse;
import io.harikube.ops.Version;
import io.harikube.store.Identity;
import io.harikube.store.Status;
import io.harikube.store.Store;
import java.io.IOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** etcd's Maintenance service. */
final class MaintenanceService {
  /** The etcd that this server can stand in for. Clients look at major and minor. */
  static final String VERSION = Version.ETCD;

  private static final String CLUSTER_VERSION = "3.6";
  private static final String STORAGE_VERSION = Version.CLUSTER;
  private static final String DOWNGRADE_VERSION = "3.5";
  private static final Pattern SEMVER =
      Pattern.compile("(\\d+)\\.(\\d+)(\\.\\d+(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?)?");

  private final Store store;
  private final Headers headers;
  private final Alarms alarms;
  private final long quotaBytes;

  MaintenanceService(Store store, Headers headers, Alarms alarms, long quotaBytes) {
    this.store = store;
    this.headers = headers;
    this.alarms = alarms;
    this.quotaBytes = quotaBytes;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("etcdserverpb.Maintenance")
        .addMethod(EtcdApi.ALARM, calls.direct(this::alarm))
        .addMethod(EtcdApi.STATUS, calls.blocking(this::status))
        .addMethod(EtcdApi.DEFRAGMENT, calls.blocking(this::defragment))
        .addMethod(EtcdApi.HASH, calls.blocking(this::hash))
        .addMethod(EtcdApi.HASH_KV, calls.blocking(this::hashKv))
        .addMethod(EtcdApi.SNAPSHOT, calls.blocking(this::snapshot))
        .addMethod(EtcdApi.MOVE_LEADER, calls.direct(this::moveLeader))
        .addMethod(EtcdApi.DOWNGRADE, calls.direct(this::downgrade))
        .build();
  }

  private AlarmResponse alarm(AlarmRequest request) {
    return AlarmResponse.newBuilder()
        .setHeader(headers.now())
        .addAllAlarms(alarms.handle(request))
        .build();
  }

  private void status(StatusRequest request, Answer<StatusResponse> answer) {
    Status status = store.status();
    Identity identity = store.identity();
    StatusResponse.Builder wire =
        StatusResponse.newBuilder()
            .setHeader(headers.at(status.revision()))
            .setVersion(VERSION)
            .setStorageVersion(STORAGE_VERSION)
            .setDbSize(status.size())
            .setDbSizeInUse(status.sizeInUse())
            .setDbSizeQuota(quotaBytes)
            .setLeader(identity.memberId())
            .setRaftTerm(identity.term())
            .setRaftIndex(status.commits())
            .setRaftAppliedIndex(status.commits())
            .setDowngradeInfo(DowngradeInfo.getDefaultInstance());
    for (AlarmMember alarm : alarms.get(AlarmType.NONE)) {
      wire.addErrors(
          "memberID:"
              + Long.toUnsignedString(alarm.getMemberID())
              + " alarm:"
              + alarm.getAlarm()
              + " ");
    }
    answer.send(wire.build());
  }

  private void defragment(DefragmentRequest request, Answer<DefragmentResponse> answer) {
    store.defragment();
    answer.send(DefragmentResponse.getDefaultInstance());
  }

  private void hash(HashRequest request, Answer<HashResponse> answer) {
    Store.Hash hash = store.hash(0);
    answer.send(
        HashResponse.newBuilder()
            .setHeader(headers.at(hash.revision()))
            .setHash(hash.hash())
            .build());
  }

  private void hashKv(HashKVRequest request, Answer<HashKVResponse> answer) {
    Store.Hash hash = store.hash(request.getRevision());
    answer.send(
        HashKVResponse.newBuilder()
            .setHeader(headers.at(hash.revision()))
            .setHash(hash.hash())
            .setHashRevision(hash.hashRevision())
            .setCompactRevision(hash.compactedRevision())
            .build());
  }

  private void snapshot(SnapshotRequest request, Answer<SnapshotResponse> answer)
      throws IOException {
    answer.reserve(2 * SnapshotSender.CHUNK);
    var sender = new SnapshotSender(answer, headers, STORAGE_VERSION);
    store.snapshot(sender);
    sender.finish();
    answer.end();
  }

  private MoveLeaderResponse moveLeader(MoveLeaderRequest request) {
    if (request.getTargetID() != store.identity().memberId()) {
      throw RequestCheck.refuse(Errors.BAD_TRANSFEREE);
    }
    return MoveLeaderResponse.getDefaultInstance();
  }

  private DowngradeResponse downgrade(DowngradeRequest request) {
    switch (request.getAction()) {
      case VALIDATE, ENABLE -> {
        Matcher version = SEMVER.matcher(request.getVersion());
        if (!version.matches()) {
          throw RequestCheck.refuse(Errors.DOWNGRADE_FORMAT);
        }
        boolean possible =
            DOWNGRADE_VERSION.equals(version.group(1) + "." + version.group(2))
                && request.getAction() == DowngradeRequest.DowngradeAction.VALIDATE;
        if (!possible) {
          throw RequestCheck.refuse(Errors.DOWNGRADE_TARGET);
        }
      }
      // etcd answers a cancellation with success also if there was nothing to cancel.
      case CANCEL -> {}
      case UNRECOGNIZED -> throw RequestCheck.refuse(Errors.UNKNOWN_METHOD);
    }
    return DowngradeResponse.newBuilder()
        .setHeader(headers.now())
        .setVersion(CLUSTER_VERSION)
        .build();
  }
}
