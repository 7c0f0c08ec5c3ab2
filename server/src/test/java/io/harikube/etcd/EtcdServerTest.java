package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmType;
import io.harikube.etcd.proto.AuthEnableRequest;
import io.harikube.etcd.proto.AuthStatusRequest;
import io.harikube.etcd.proto.AuthUserAddRequest;
import io.harikube.etcd.proto.AuthUserGetRequest;
import io.harikube.etcd.proto.AuthUserListRequest;
import io.harikube.etcd.proto.AuthenticateRequest;
import io.harikube.etcd.proto.DefragmentRequest;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.DowngradeRequest;
import io.harikube.etcd.proto.HashKVRequest;
import io.harikube.etcd.proto.LeaseGrantRequest;
import io.harikube.etcd.proto.LeaseGrantResponse;
import io.harikube.etcd.proto.LeaseKeepAliveRequest;
import io.harikube.etcd.proto.LeaseLeasesRequest;
import io.harikube.etcd.proto.LeaseRevokeRequest;
import io.harikube.etcd.proto.LeaseStatus;
import io.harikube.etcd.proto.LeaseTimeToLiveRequest;
import io.harikube.etcd.proto.LeaseTimeToLiveResponse;
import io.harikube.etcd.proto.MemberAddRequest;
import io.harikube.etcd.proto.MemberListRequest;
import io.harikube.etcd.proto.MemberListResponse;
import io.harikube.etcd.proto.MemberRemoveRequest;
import io.harikube.etcd.proto.MoveLeaderRequest;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.etcd.proto.StatusRequest;
import io.harikube.etcd.proto.StatusResponse;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Leases, maintenance and the server itself, as a client sees them. */
@Timeout(60)
final class EtcdServerTest {
  private static final long LEASE = 77;

  @TempDir private Path dir;
  private TestServer test;

  @BeforeEach
  void start() throws Exception {
    test = new TestServer(dir);
  }

  @AfterEach
  void stop() {
    if (test != null) {
      test.close();
    }
  }

  @Test
  void leases() throws Exception {
    LeaseGrantResponse granted =
        test.call(
            EtcdApi.LEASE_GRANT, LeaseGrantRequest.newBuilder().setID(LEASE).setTTL(100).build());
    assertThat(granted.getID()).isEqualTo(LEASE);
    assertThat(granted.getTTL()).isEqualTo(100);
    assertThat(granted.getHeader().getRevision()).isEqualTo(1);
    test.refused(
        EtcdApi.LEASE_GRANT,
        LeaseGrantRequest.newBuilder().setID(LEASE).setTTL(1).build(),
        "FAILED_PRECONDITION: etcdserver: lease already exists");
    test.refused(
        EtcdApi.LEASE_GRANT,
        LeaseGrantRequest.newBuilder().setTTL(9_000_000_001L).build(),
        "OUT_OF_RANGE: etcdserver: too large lease TTL");
    LeaseGrantResponse chosen =
        test.call(EtcdApi.LEASE_GRANT, LeaseGrantRequest.newBuilder().setTTL(-5).build());
    assertThat(chosen.getID()).isPositive();
    assertThat(chosen.getTTL()).isPositive();

    test.call(EtcdApi.PUT, TestServer.putRequest("a", "1").setLease(LEASE).build());
    LeaseTimeToLiveResponse left =
        test.call(
            EtcdApi.LEASE_TIME_TO_LIVE,
            LeaseTimeToLiveRequest.newBuilder().setID(LEASE).setKeys(true).build());
    assertThat(left.getTTL()).isBetween(90L, 100L);
    assertThat(left.getGrantedTTL()).isEqualTo(100);
    assertThat(left.getKeysList()).containsExactly(TestServer.key("a"));
    LeaseTimeToLiveResponse unknown =
        test.call(EtcdApi.LEASE_TIME_TO_LIVE, LeaseTimeToLiveRequest.newBuilder().setID(5).build());
    assertThat(unknown.getTTL()).isEqualTo(-1);
    assertThat(unknown.getHeader().getRevision()).isEqualTo(2);
    assertThat(
            test.call(EtcdApi.LEASE_LEASES, LeaseLeasesRequest.getDefaultInstance())
                .getLeasesList())
        .extracting(LeaseStatus::getID)
        .containsExactlyInAnyOrder(LEASE, chosen.getID());

    var alive = new Reader<>(test.channel(), EtcdApi.LEASE_KEEP_ALIVE);
    for (int i = 0; i < 20; i++) {
      alive.send(LeaseKeepAliveRequest.newBuilder().setID(i % 2 == 0 ? LEASE : i).build());
    }
    alive.halfClose();
    for (int i = 0; i < 20; i++) {
      var answer = alive.next();
      assertThat(answer.getID()).isEqualTo(i % 2 == 0 ? LEASE : i);
      assertThat(answer.getTTL()).isEqualTo(i % 2 == 0 ? 100 : 0);
    }
    assertThat(alive.end().isOk()).isTrue();

    var revoke = LeaseRevokeRequest.newBuilder().setID(LEASE).build();
    assertThat(test.call(EtcdApi.LEASE_REVOKE, revoke).getHeader().getRevision()).isEqualTo(3);
    test.refused(EtcdApi.LEASE_REVOKE, revoke, "NOT_FOUND: etcdserver: requested lease not found");
    assertThat(test.call(EtcdApi.RANGE, TestServer.all().build()).getCount()).isZero();
  }

  @Test
  void maintenance() throws Exception {
    test.put("a", "1");
    StatusResponse status = test.call(EtcdApi.STATUS, StatusRequest.getDefaultInstance());
    assertThat(status.getVersion()).startsWith("3.6.");
    assertThat(status.getLeader()).isEqualTo(test.store().identity().memberId());
    assertThat(status.getDbSize()).isPositive();
    assertThat(status.getDbSizeInUse()).isBetween(1L, status.getDbSize());
    assertThat(status.getRaftIndex()).isEqualTo(status.getRaftAppliedIndex());
    assertThat(status.getErrorsList()).isEmpty();
    var hash = test.call(EtcdApi.HASH_KV, HashKVRequest.getDefaultInstance());
    assertThat(hash.getHashRevision()).isEqualTo(2);
    test.put("b", "1");
    assertThat(
            test.call(EtcdApi.HASH_KV, HashKVRequest.newBuilder().setRevision(2).build()).getHash())
        .isEqualTo(hash.getHash());
    test.call(EtcdApi.DEFRAGMENT, DefragmentRequest.getDefaultInstance());

    var snapshot = new Reader<>(test.channel(), EtcdApi.SNAPSHOT);
    snapshot.send(SnapshotRequest.getDefaultInstance());
    snapshot.halfClose();
    assertThat(snapshot.end().isOk()).isTrue();
    assertThat(snapshot.received().size()).isGreaterThan(1);

    test.call(
        EtcdApi.ALARM,
        AlarmRequest.newBuilder()
            .setAction(AlarmRequest.AlarmAction.ACTIVATE)
            .setAlarm(AlarmType.NOSPACE)
            .setMemberID(-1)
            .build());
    test.refused(
        EtcdApi.PUT,
        TestServer.putRequest("x", "1").build(),
        "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded");
    assertThat(test.call(EtcdApi.STATUS, StatusRequest.getDefaultInstance()).getErrorsList())
        .containsExactly("memberID:18446744073709551615 alarm:NOSPACE ");
    test.call(
        EtcdApi.DELETE_RANGE, DeleteRangeRequest.newBuilder().setKey(TestServer.key("a")).build());

    long member = test.store().identity().memberId();
    test.call(EtcdApi.MOVE_LEADER, MoveLeaderRequest.newBuilder().setTargetID(member).build());
    test.refused(
        EtcdApi.MOVE_LEADER,
        MoveLeaderRequest.newBuilder().setTargetID(member + 1).build(),
        "FAILED_PRECONDITION: etcdserver: bad leader transferee");
    test.refused(
        EtcdApi.DOWNGRADE,
        DowngradeRequest.newBuilder().setVersion("x").build(),
        "INVALID_ARGUMENT: etcdserver: wrong downgrade target version format");
    test.refused(
        EtcdApi.DOWNGRADE,
        DowngradeRequest.newBuilder().setVersion("3.4").build(),
        "INVALID_ARGUMENT: etcdserver: invalid downgrade target version");
    assertThat(
            test.call(EtcdApi.DOWNGRADE, DowngradeRequest.newBuilder().setVersion("3.5.0").build())
                .getVersion())
        .isEqualTo("3.6");
  }

  @Test
  void members() {
    MemberListResponse list =
        test.call(EtcdApi.MEMBER_LIST, MemberListRequest.getDefaultInstance());
    assertThat(list.getHeader().getRevision()).isZero();
    assertThat(list.getMembers(0).getName()).isEqualTo("m0");
    assertThat(list.getMembers(0).getClientURLsList()).containsExactly("http://127.0.0.1:2379");
    test.refused(
        EtcdApi.MEMBER_ADD,
        MemberAddRequest.newBuilder().addPeerURLs("nonsense").build(),
        "INVALID_ARGUMENT: etcdserver: given member URLs are invalid");
    test.refused(
        EtcdApi.MEMBER_ADD,
        MemberAddRequest.newBuilder().addPeerURLs("http://127.0.0.1:2381").build(),
        "UNKNOWN: etcdserver: re-configuration failed due to not enough started members");
    test.refused(
        EtcdApi.MEMBER_REMOVE,
        MemberRemoveRequest.newBuilder().setID(1).build(),
        "NOT_FOUND: etcdserver: member not found");
  }

  @Test
  void authenticationIsOff() {
    var status = test.call(EtcdApi.AUTH_STATUS, AuthStatusRequest.getDefaultInstance());
    assertThat(status.getEnabled()).isFalse();
    assertThat(
            test.call(EtcdApi.USER_LIST, AuthUserListRequest.getDefaultInstance()).getUsersList())
        .isEmpty();
    test.refused(
        EtcdApi.AUTHENTICATE,
        AuthenticateRequest.newBuilder().setName("root").build(),
        "FAILED_PRECONDITION: etcdserver: authentication is not enabled");
    test.refused(
        EtcdApi.AUTH_ENABLE,
        AuthEnableRequest.getDefaultInstance(),
        "FAILED_PRECONDITION: etcdserver: root user does not exist");
    test.refused(
        EtcdApi.USER_GET,
        AuthUserGetRequest.newBuilder().setName("root").build(),
        "FAILED_PRECONDITION: etcdserver: user name not found");
    assertThatThrownBy(
            () -> test.call(EtcdApi.USER_ADD, AuthUserAddRequest.newBuilder().setName("u").build()))
        .hasMessageStartingWith("UNIMPLEMENTED: ");
  }

  @Test
  void health() {
    var client = HealthGrpc.newBlockingStub(test.channel());
    var request = HealthCheckRequest.getDefaultInstance();
    assertThat(client.check(request).getStatus()).isEqualTo(ServingStatus.SERVING);
    test.server().serving(false);
    assertThat(client.check(request).getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
  }

  @Test
  void closingEndsStreamsAndLetsCallsFinish() throws Exception {
    var alive = new Reader<>(test.channel(), EtcdApi.LEASE_KEEP_ALIVE);
    alive.send(LeaseKeepAliveRequest.newBuilder().setID(5).build());
    assertThat(alive.next().getTTL()).isZero();
    test.server().close();
    Status status = alive.end();
    assertThat(status.getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(status.getDescription()).isEqualTo("etcdserver: server stopped");
  }

  @Test
  void listensOnAUnixSocket() throws Exception {
    Path socket = dir.resolve("s");
    try (EtcdServer local =
        EtcdServer.builder(test.store(), TestServer.NO_WATCHES)
            .listen("unix://" + socket)
            .build()) {
      local.start();
      assertThat(local.port()).isEqualTo(-1);
      assertThat(socket).exists();
    }
    assertThat(socket).doesNotExist();
  }
}
