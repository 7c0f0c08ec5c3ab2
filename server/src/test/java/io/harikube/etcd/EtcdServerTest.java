package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmType;
import io.harikube.etcd.proto.AuthEnableRequest;
import io.harikube.etcd.proto.AuthStatusRequest;
import io.harikube.etcd.proto.AuthUserAddRequest;
import io.harikube.etcd.proto.AuthUserGetRequest;
import io.harikube.etcd.proto.AuthUserListRequest;
import io.harikube.etcd.proto.AuthenticateRequest;
import io.harikube.etcd.proto.CompactionRequest;
import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.DefragmentRequest;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.DeleteRangeResponse;
import io.harikube.etcd.proto.DowngradeRequest;
import io.harikube.etcd.proto.HashKVRequest;
import io.harikube.etcd.proto.KeyValue;
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
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.PutResponse;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.etcd.proto.StatusRequest;
import io.harikube.etcd.proto.StatusResponse;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Store;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The server and a store, as a client sees them. */
@Timeout(60)
final class EtcdServerTest {
  private static final long LEASE = 77;

  @TempDir private Path dir;
  private final MemoryBudget budget = new MemoryBudget(64 << 20);
  private Store store;
  private EtcdServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws Exception {
    store = TestStore.open(dir);
    server =
        EtcdServer.builder(
                store,
                () -> {
                  throw new UnsupportedOperationException("no watches in this test");
                })
            .budget(budget)
            .maxRequestBytes(100_000)
            .name("m0")
            .peerUrls(List.of("http://127.0.0.1:2380"))
            .clientUrls(List.of("http://127.0.0.1:2379"))
            .listen("127.0.0.1:0")
            .build();
    server.start();
    channel = Connection.channel(server.port());
  }

  @AfterEach
  void stop() {
    if (channel != null) {
      channel.shutdownNow();
      server.close();
      store.close();
      assertThat(budget.used()).isZero();
    }
  }

  @Test
  void putsAndRanges() {
    PutResponse put = put("a", "1");
    assertThat(put.getHeader().getRevision()).isEqualTo(2);
    assertThat(put.getHeader().getClusterId()).isEqualTo(store.identity().clusterId());
    assertThat(put.getHeader().getMemberId()).isEqualTo(store.identity().memberId());
    assertThat(put.getHeader().getRaftTerm()).isEqualTo(store.identity().term());
    assertThat(put.hasPrevKv()).isFalse();
    put("b", "2");
    PutResponse again = call(EtcdApi.PUT, putRequest("a", "3").setPrevKv(true).build());
    assertThat(again.getPrevKv().getValue().toStringUtf8()).isEqualTo("1");

    RangeResponse all = call(EtcdApi.RANGE, all().build());
    assertThat(all.getHeader().getRevision()).isEqualTo(4);
    assertThat(all.getCount()).isEqualTo(2);
    assertThat(all.getMore()).isFalse();
    KeyValue a = all.getKvs(0);
    assertThat(a.getKey().toStringUtf8()).isEqualTo("a");
    assertThat(a.getValue().toStringUtf8()).isEqualTo("3");
    assertThat(a.getCreateRevision()).isEqualTo(2);
    assertThat(a.getModRevision()).isEqualTo(4);
    assertThat(a.getVersion()).isEqualTo(2);

    RangeResponse limited = call(EtcdApi.RANGE, all().setLimit(1).setKeysOnly(true).build());
    assertThat(limited.getKvsList()).hasSize(1);
    assertThat(limited.getMore()).isTrue();
    assertThat(limited.getCount()).isEqualTo(2);
    assertThat(limited.getKvs(0).getValue().isEmpty()).isTrue();
    RangeResponse old = call(EtcdApi.RANGE, all().setRevision(2).build());
    assertThat(old.getHeader().getRevision()).isEqualTo(4);
    assertThat(old.getCount()).isEqualTo(1);
    RangeResponse sorted =
        call(EtcdApi.RANGE, all().setSortTarget(RangeRequest.SortTarget.MOD).build());
    assertThat(sorted.getKvs(0).getKey().toStringUtf8()).isEqualTo("b");
    RangeResponse count = call(EtcdApi.RANGE, all().setCountOnly(true).build());
    assertThat(count.getKvsList()).isEmpty();
    assertThat(count.getCount()).isEqualTo(2);
  }

  @Test
  void deletes() {
    put("a", "1");
    put("b", "2");
    var prefix = DeleteRangeRequest.newBuilder().setKey(key("a")).setRangeEnd(key("c"));
    DeleteRangeResponse deleted =
        call(EtcdApi.DELETE_RANGE, prefix.clone().setPrevKv(true).build());
    assertThat(deleted.getDeleted()).isEqualTo(2);
    assertThat(deleted.getPrevKvsCount()).isEqualTo(2);
    assertThat(deleted.getHeader().getRevision()).isEqualTo(4);
    DeleteRangeResponse nothing = call(EtcdApi.DELETE_RANGE, prefix.build());
    assertThat(nothing.getDeleted()).isZero();
    assertThat(nothing.getHeader().getRevision()).isEqualTo(4);
  }

  @Test
  void transactions() {
    put("a", "1");
    RequestOp range = RequestOp.newBuilder().setRequestRange(all()).build();
    TxnRequest txn =
        TxnRequest.newBuilder()
            .addCompare(
                Compare.newBuilder()
                    .setKey(key("a"))
                    .setTarget(Compare.CompareTarget.MOD)
                    .setModRevision(2))
            .addSuccess(RequestOp.newBuilder().setRequestPut(putRequest("b", "2")))
            .addSuccess(
                RequestOp.newBuilder().setRequestTxn(TxnRequest.newBuilder().addSuccess(range)))
            .addFailure(range)
            .build();
    TxnResponse done = call(EtcdApi.TXN, txn);
    assertThat(done.getSucceeded()).isTrue();
    assertThat(done.getHeader().getRevision()).isEqualTo(3);
    assertThat(done.getHeader().getMemberId()).isNotZero();
    assertThat(done.getResponses(0).getResponsePut().getHeader().getRevision()).isEqualTo(3);
    TxnResponse nested = done.getResponses(1).getResponseTxn();
    assertThat(nested.getHeader().getRevision()).isZero();
    assertThat(nested.getResponses(0).getResponseRange().getCount()).isEqualTo(2);

    put("a", "2");
    TxnResponse failed = call(EtcdApi.TXN, txn);
    assertThat(failed.getSucceeded()).isFalse();
    assertThat(failed.getHeader().getRevision()).isEqualTo(4);
    assertThat(failed.getResponses(0).getResponseRange().getKvsCount()).isEqualTo(2);
  }

  @Test
  void refusals() {
    put("a", "1");
    put("a", "2");
    refused(
        EtcdApi.RANGE,
        all().setRevision(9).build(),
        "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
    refused(
        EtcdApi.PUT,
        PutRequest.getDefaultInstance(),
        "INVALID_ARGUMENT: etcdserver: key is not provided");
    refused(
        EtcdApi.PUT,
        PutRequest.newBuilder().setKey(key("x")).setIgnoreValue(true).build(),
        "INVALID_ARGUMENT: etcdserver: key not found");
    refused(
        EtcdApi.PUT,
        putRequest("x", "1").setLease(5).build(),
        "NOT_FOUND: etcdserver: requested lease not found");
    refused(
        EtcdApi.PUT,
        putRequest("x", "y".repeat(100_000)).build(),
        "INVALID_ARGUMENT: etcdserver: request is too large");
    assertThatThrownBy(() -> call(EtcdApi.PUT, putRequest("x", "y".repeat(1 << 20)).build()))
        .hasMessageStartingWith("RESOURCE_EXHAUSTED");
    refused(
        EtcdApi.COMPACT,
        CompactionRequest.newBuilder().setRevision(9).build(),
        "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
    var compaction = CompactionRequest.newBuilder().setRevision(3).setPhysical(true).build();
    assertThat(call(EtcdApi.COMPACT, compaction).getHeader().getRevision()).isEqualTo(3);
    String compacted = "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted";
    refused(EtcdApi.COMPACT, compaction, compacted);
    refused(EtcdApi.RANGE, all().setRevision(2).build(), compacted);
    // None of it has changed anything.
    assertThat(call(EtcdApi.RANGE, all().build()).getHeader().getRevision()).isEqualTo(3);
  }

  @Test
  void streamedRanges() throws Exception {
    for (int i = 100; i < 250; i++) {
      put("k" + i, "v".repeat(20_000));
    }
    for (long limit : new long[] {0, 1, 117, 150, 200}) {
      RangeRequest request = all().setLimit(limit).build();
      var reader = new Reader<>(channel, EtcdApi.RANGE_STREAM);
      reader.send(request);
      reader.halfClose();
      assertThat(reader.end().isOk()).isTrue();
      assertThat(reader.received().size()).isGreaterThan(limit == 0 ? 2 : 1);
      var merged = RangeResponse.newBuilder();
      reader.received().forEach(part -> merged.mergeFrom(part.getRangeResponse()));
      assertThat(merged.build()).isEqualTo(call(EtcdApi.RANGE, request));
    }
    var count = new Reader<>(channel, EtcdApi.RANGE_STREAM);
    count.send(all().setCountOnly(true).build());
    count.halfClose();
    assertThat(count.next().getRangeResponse().getCount()).isEqualTo(150);
    assertThat(count.end().isOk()).isTrue();
  }

  @Test
  void leases() throws Exception {
    LeaseGrantResponse granted =
        call(EtcdApi.LEASE_GRANT, LeaseGrantRequest.newBuilder().setID(LEASE).setTTL(100).build());
    assertThat(granted.getID()).isEqualTo(LEASE);
    assertThat(granted.getTTL()).isEqualTo(100);
    assertThat(granted.getHeader().getRevision()).isEqualTo(1);
    refused(
        EtcdApi.LEASE_GRANT,
        LeaseGrantRequest.newBuilder().setID(LEASE).setTTL(1).build(),
        "FAILED_PRECONDITION: etcdserver: lease already exists");
    refused(
        EtcdApi.LEASE_GRANT,
        LeaseGrantRequest.newBuilder().setTTL(9_000_000_001L).build(),
        "OUT_OF_RANGE: etcdserver: too large lease TTL");
    LeaseGrantResponse chosen =
        call(EtcdApi.LEASE_GRANT, LeaseGrantRequest.newBuilder().setTTL(-5).build());
    assertThat(chosen.getID()).isPositive();
    assertThat(chosen.getTTL()).isPositive();

    call(EtcdApi.PUT, putRequest("a", "1").setLease(LEASE).build());
    LeaseTimeToLiveResponse left =
        call(
            EtcdApi.LEASE_TIME_TO_LIVE,
            LeaseTimeToLiveRequest.newBuilder().setID(LEASE).setKeys(true).build());
    assertThat(left.getTTL()).isBetween(90L, 100L);
    assertThat(left.getGrantedTTL()).isEqualTo(100);
    assertThat(left.getKeysList()).containsExactly(key("a"));
    LeaseTimeToLiveResponse unknown =
        call(EtcdApi.LEASE_TIME_TO_LIVE, LeaseTimeToLiveRequest.newBuilder().setID(5).build());
    assertThat(unknown.getTTL()).isEqualTo(-1);
    assertThat(unknown.getHeader().getRevision()).isEqualTo(2);
    assertThat(call(EtcdApi.LEASE_LEASES, LeaseLeasesRequest.getDefaultInstance()).getLeasesList())
        .extracting(LeaseStatus::getID)
        .containsExactlyInAnyOrder(LEASE, chosen.getID());

    var alive = new Reader<>(channel, EtcdApi.LEASE_KEEP_ALIVE);
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
    assertThat(call(EtcdApi.LEASE_REVOKE, revoke).getHeader().getRevision()).isEqualTo(3);
    refused(EtcdApi.LEASE_REVOKE, revoke, "NOT_FOUND: etcdserver: requested lease not found");
    assertThat(call(EtcdApi.RANGE, all().build()).getCount()).isZero();
  }

  @Test
  void maintenance() throws Exception {
    put("a", "1");
    StatusResponse status = call(EtcdApi.STATUS, StatusRequest.getDefaultInstance());
    assertThat(status.getVersion()).startsWith("3.6.");
    assertThat(status.getLeader()).isEqualTo(store.identity().memberId());
    assertThat(status.getDbSize()).isPositive();
    assertThat(status.getDbSizeInUse()).isBetween(1L, status.getDbSize());
    assertThat(status.getRaftIndex()).isEqualTo(status.getRaftAppliedIndex());
    assertThat(status.getErrorsList()).isEmpty();
    var hash = call(EtcdApi.HASH_KV, HashKVRequest.getDefaultInstance());
    assertThat(hash.getHashRevision()).isEqualTo(2);
    put("b", "1");
    assertThat(call(EtcdApi.HASH_KV, HashKVRequest.newBuilder().setRevision(2).build()).getHash())
        .isEqualTo(hash.getHash());
    call(EtcdApi.DEFRAGMENT, DefragmentRequest.getDefaultInstance());

    var snapshot = new Reader<>(channel, EtcdApi.SNAPSHOT);
    snapshot.send(SnapshotRequest.getDefaultInstance());
    snapshot.halfClose();
    assertThat(snapshot.end().isOk()).isTrue();
    assertThat(snapshot.received().size()).isGreaterThan(1);

    call(
        EtcdApi.ALARM,
        AlarmRequest.newBuilder()
            .setAction(AlarmRequest.AlarmAction.ACTIVATE)
            .setAlarm(AlarmType.NOSPACE)
            .setMemberID(-1)
            .build());
    refused(
        EtcdApi.PUT,
        putRequest("x", "1").build(),
        "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded");
    assertThat(call(EtcdApi.STATUS, StatusRequest.getDefaultInstance()).getErrorsList())
        .containsExactly("memberID:18446744073709551615 alarm:NOSPACE ");
    call(EtcdApi.DELETE_RANGE, DeleteRangeRequest.newBuilder().setKey(key("a")).build());

    long member = store.identity().memberId();
    call(EtcdApi.MOVE_LEADER, MoveLeaderRequest.newBuilder().setTargetID(member).build());
    refused(
        EtcdApi.MOVE_LEADER,
        MoveLeaderRequest.newBuilder().setTargetID(member + 1).build(),
        "FAILED_PRECONDITION: etcdserver: bad leader transferee");
    refused(
        EtcdApi.DOWNGRADE,
        DowngradeRequest.newBuilder().setVersion("x").build(),
        "INVALID_ARGUMENT: etcdserver: wrong downgrade target version format");
    refused(
        EtcdApi.DOWNGRADE,
        DowngradeRequest.newBuilder().setVersion("3.4").build(),
        "INVALID_ARGUMENT: etcdserver: invalid downgrade target version");
    assertThat(
            call(EtcdApi.DOWNGRADE, DowngradeRequest.newBuilder().setVersion("3.5.0").build())
                .getVersion())
        .isEqualTo("3.6");
  }

  @Test
  void members() {
    MemberListResponse list = call(EtcdApi.MEMBER_LIST, MemberListRequest.getDefaultInstance());
    assertThat(list.getHeader().getRevision()).isZero();
    assertThat(list.getMembers(0).getName()).isEqualTo("m0");
    assertThat(list.getMembers(0).getClientURLsList()).containsExactly("http://127.0.0.1:2379");
    refused(
        EtcdApi.MEMBER_ADD,
        MemberAddRequest.newBuilder().addPeerURLs("nonsense").build(),
        "INVALID_ARGUMENT: etcdserver: given member URLs are invalid");
    refused(
        EtcdApi.MEMBER_ADD,
        MemberAddRequest.newBuilder().addPeerURLs("http://127.0.0.1:2381").build(),
        "UNKNOWN: etcdserver: re-configuration failed due to not enough started members");
    refused(
        EtcdApi.MEMBER_REMOVE,
        MemberRemoveRequest.newBuilder().setID(1).build(),
        "NOT_FOUND: etcdserver: member not found");
  }

  @Test
  void authenticationIsOff() {
    var status = call(EtcdApi.AUTH_STATUS, AuthStatusRequest.getDefaultInstance());
    assertThat(status.getEnabled()).isFalse();
    assertThat(call(EtcdApi.USER_LIST, AuthUserListRequest.getDefaultInstance()).getUsersList())
        .isEmpty();
    refused(
        EtcdApi.AUTHENTICATE,
        AuthenticateRequest.newBuilder().setName("root").build(),
        "FAILED_PRECONDITION: etcdserver: authentication is not enabled");
    refused(
        EtcdApi.AUTH_ENABLE,
        AuthEnableRequest.getDefaultInstance(),
        "FAILED_PRECONDITION: etcdserver: root user does not exist");
    refused(
        EtcdApi.USER_GET,
        AuthUserGetRequest.newBuilder().setName("root").build(),
        "FAILED_PRECONDITION: etcdserver: user name not found");
    assertThatThrownBy(
            () -> call(EtcdApi.USER_ADD, AuthUserAddRequest.newBuilder().setName("u").build()))
        .hasMessageStartingWith("UNIMPLEMENTED: ");
  }

  @Test
  void health() {
    var client = HealthGrpc.newBlockingStub(channel);
    var request = HealthCheckRequest.getDefaultInstance();
    assertThat(client.check(request).getStatus()).isEqualTo(ServingStatus.SERVING);
    server.serving(false);
    assertThat(client.check(request).getStatus()).isEqualTo(ServingStatus.NOT_SERVING);
  }

  @Test
  void closingEndsStreamsAndLetsCallsFinish() throws Exception {
    var alive = new Reader<>(channel, EtcdApi.LEASE_KEEP_ALIVE);
    alive.send(LeaseKeepAliveRequest.newBuilder().setID(5).build());
    assertThat(alive.next().getTTL()).isZero();
    server.close();
    Status status = alive.end();
    assertThat(status.getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(status.getDescription()).isEqualTo("etcdserver: server stopped");
  }

  @Test
  void listensOnAUnixSocket() throws Exception {
    Path socket = dir.resolve("s");
    try (EtcdServer local =
        EtcdServer.builder(
                store,
                () -> {
                  throw new UnsupportedOperationException("no watches in this test");
                })
            .listen("unix://" + socket)
            .build()) {
      local.start();
      assertThat(local.port()).isEqualTo(-1);
      assertThat(socket).exists();
    }
    assertThat(socket).doesNotExist();
  }

  @Test
  void bigAnswersAreCountedUntilTheyAreRead() throws Exception {
    for (int i = 0; i < 80; i++) {
      put("k" + i, "v".repeat(90_000));
    }
    var slow = new Reader<>(channel, EtcdApi.RANGE);
    slow.send(all().build());
    slow.halfClose();
    while (budget.used() < 7_000_000) {
      LockSupport.parkNanos(1_000_000);
    }
    slow.cancel();
    while (budget.used() > 0) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, request);
  }

  private <Q, A> void refused(MethodDescriptor<Q, A> method, Q request, String message) {
    assertThatThrownBy(() -> call(method, request)).hasMessage(message);
  }

  private PutResponse put(String key, String value) {
    return call(EtcdApi.PUT, putRequest(key, value).build());
  }

  private static PutRequest.Builder putRequest(String key, String value) {
    return PutRequest.newBuilder().setKey(key(key)).setValue(key(value));
  }

  private static RangeRequest.Builder all() {
    return RangeRequest.newBuilder().setKey(key("\0")).setRangeEnd(key("\0"));
  }

  private static ByteString key(String text) {
    return ByteString.copyFromUtf8(text);
  }
}
