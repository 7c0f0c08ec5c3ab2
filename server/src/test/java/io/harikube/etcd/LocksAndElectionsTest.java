package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmType;
import io.harikube.etcd.proto.CampaignRequest;
import io.harikube.etcd.proto.CampaignResponse;
import io.harikube.etcd.proto.LeaderKey;
import io.harikube.etcd.proto.LeaderRequest;
import io.harikube.etcd.proto.LeaderResponse;
import io.harikube.etcd.proto.LeaseGrantRequest;
import io.harikube.etcd.proto.LeaseRevokeRequest;
import io.harikube.etcd.proto.LockRequest;
import io.harikube.etcd.proto.LockResponse;
import io.harikube.etcd.proto.ProclaimRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.ResignRequest;
import io.harikube.etcd.proto.UnlockRequest;
import io.harikube.store.Store;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is expected is what etcd 3.6 answers, code and text. */
@Timeout(60)
final class LocksAndElectionsTest {
  private static final long FIRST = 0x4d;
  private static final long SECOND = 0x4e;

  @TempDir private Path dir;
  private Store store;
  private WatchHub hub;
  private EtcdServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws Exception {
    store = TestStore.open(dir);
    hub = new WatchHub(store.log(), WatchOptions.defaults());
    server = EtcdServer.builder(store, hub::open).listen("127.0.0.1:0").build();
    server.start();
    channel = Connection.channel(server.port());
    for (long lease : new long[] {FIRST, SECOND}) {
      call(EtcdApi.LEASE_GRANT, LeaseGrantRequest.newBuilder().setID(lease).setTTL(100).build());
    }
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.close();
    hub.close();
    store.close();
  }

  @Test
  void aLockIsHeldUntilItsKeyIsGone() throws Exception {
    LockResponse held = call(EtcdApi.LOCK, lock(FIRST));
    assertThat(held.getKey().toStringUtf8()).isEqualTo("jobs/4d");
    assertThat(call(EtcdApi.LOCK, lock(FIRST)).getKey()).isEqualTo(held.getKey());

    Future<LockResponse> waiter = begin(EtcdApi.LOCK, lock(SECOND));
    awaitKeys("jobs/", 2);
    assertThat(waiter.isDone()).isFalse();
    call(EtcdApi.UNLOCK, UnlockRequest.newBuilder().setKey(held.getKey()).build());
    LockResponse next = waiter.get();
    assertThat(next.getKey().toStringUtf8()).isEqualTo("jobs/4e");
    assertThat(next.getHeader().getRevision()).isGreaterThan(held.getHeader().getRevision());
  }

  @Test
  void whoGivesUpWaitingLeavesNoKey() throws Exception {
    call(EtcdApi.LOCK, lock(FIRST));
    Future<LockResponse> waiter = begin(EtcdApi.LOCK, lock(SECOND));
    awaitKeys("jobs/", 2);
    waiter.cancel(true);
    awaitKeys("jobs/", 1);
  }

  @Test
  void aWaiterWhoseLeaseEndsGetsNoLock() throws Exception {
    LockResponse held = call(EtcdApi.LOCK, lock(FIRST));
    Future<LockResponse> waiter = begin(EtcdApi.LOCK, lock(SECOND));
    awaitKeys("jobs/", 2);
    call(EtcdApi.LEASE_REVOKE, LeaseRevokeRequest.newBuilder().setID(SECOND).build());
    call(EtcdApi.UNLOCK, UnlockRequest.newBuilder().setKey(held.getKey()).build());
    assertThat(failure(waiter)).isEqualTo("UNKNOWN: mutex: session is expired");
  }

  @Test
  void aLockNeedsALease() throws Exception {
    refused(EtcdApi.LOCK, lock(12345), "UNKNOWN: etcdserver: requested lease not found");
    refused(
        EtcdApi.UNLOCK,
        UnlockRequest.getDefaultInstance(),
        "UNKNOWN: etcdserver: key is not provided");
  }

  @Test
  void theServerDoesNotWaitForThoseWhoWait() throws Exception {
    call(EtcdApi.LOCK, lock(FIRST));
    Future<LockResponse> waiter = begin(EtcdApi.LOCK, lock(SECOND));
    awaitKeys("jobs/", 2);
    server.close();
    assertThat(failure(waiter)).isEqualTo("UNAVAILABLE: etcdserver: server stopped");
  }

  @Test
  void leadersFollowOneAnother() throws Exception {
    LeaderRequest election = LeaderRequest.newBuilder().setName(TestServer.key("boss")).build();
    refused(EtcdApi.LEADER, election, "UNKNOWN: election: no leader");
    var observer = new Reader<>(channel, EtcdApi.OBSERVE);
    observer.send(election);
    observer.halfClose();

    CampaignResponse first = call(EtcdApi.CAMPAIGN, campaign(FIRST, "a"));
    assertThat(first.getLeader().getKey().toStringUtf8()).isEqualTo("boss/4d");
    Future<CampaignResponse> second = begin(EtcdApi.CAMPAIGN, campaign(SECOND, "b"));
    awaitKeys("boss/", 2);
    assertThat(value(call(EtcdApi.LEADER, election))).isEqualTo("a");
    assertThat(value(observer.next())).isEqualTo("a");

    var proclaim =
        ProclaimRequest.newBuilder()
            .setLeader(first.getLeader())
            .setValue(TestServer.key("a2"))
            .build();
    call(EtcdApi.PROCLAIM, proclaim);
    assertThat(value(observer.next())).isEqualTo("a2");
    call(EtcdApi.RESIGN, ResignRequest.newBuilder().setLeader(first.getLeader()).build());
    assertThat(second.get().getLeader().getLease()).isEqualTo(SECOND);
    assertThat(value(observer.next())).isEqualTo("b");
    refused(EtcdApi.PROCLAIM, proclaim, "UNKNOWN: election: not leader");
    observer.cancel();
  }

  @Test
  void campaigningAgainProclaims() {
    CampaignResponse first = call(EtcdApi.CAMPAIGN, campaign(FIRST, "a"));
    CampaignResponse again = call(EtcdApi.CAMPAIGN, campaign(FIRST, "b"));
    assertThat(again).isEqualTo(first);
    LeaderRequest election = LeaderRequest.newBuilder().setName(TestServer.key("boss")).build();
    assertThat(value(call(EtcdApi.LEADER, election))).isEqualTo("b");
  }

  @Test
  void aLeaderHasToBeNamed() throws Exception {
    String missing = "UNKNOWN: \"leader\" field must be provided";
    refused(EtcdApi.PROCLAIM, ProclaimRequest.getDefaultInstance(), missing);
    refused(EtcdApi.RESIGN, ResignRequest.getDefaultInstance(), missing);
  }

  /** As in etcd, which looks at the request before it looks at the alarm. */
  @Test
  void whatIsWrongWithARequestIsSaidBeforeTheAlarm() throws Exception {
    call(
        EtcdApi.ALARM,
        AlarmRequest.newBuilder()
            .setAction(AlarmRequest.AlarmAction.ACTIVATE)
            .setMemberID(-1)
            .setAlarm(AlarmType.NOSPACE)
            .build());
    var proclaim = ProclaimRequest.newBuilder().setLeader(LeaderKey.newBuilder());
    refused(EtcdApi.PROCLAIM, proclaim.build(), "UNKNOWN: etcdserver: key is not provided");
    proclaim.setLeader(LeaderKey.newBuilder().setKey(TestServer.key("boss/1")).setLease(FIRST));
    refused(
        EtcdApi.PROCLAIM, proclaim.build(), "UNKNOWN: etcdserver: mvcc: database space exceeded");
  }

  private static LockRequest lock(long lease) {
    return LockRequest.newBuilder().setName(TestServer.key("jobs")).setLease(lease).build();
  }

  private static CampaignRequest campaign(long lease, String value) {
    return CampaignRequest.newBuilder()
        .setName(TestServer.key("boss"))
        .setLease(lease)
        .setValue(TestServer.key(value))
        .build();
  }

  private static String value(LeaderResponse leader) {
    return leader.getKv().getValue().toStringUtf8();
  }

  private void awaitKeys(String prefix, long count) throws InterruptedException {
    RangeRequest keys =
        RangeRequest.newBuilder()
            .setKey(TestServer.key(prefix))
            .setRangeEnd(TestServer.key(prefix.replace('/', '0')))
            .setCountOnly(true)
            .build();
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (call(EtcdApi.RANGE, keys).getCount() != count) {
      assertThat(System.nanoTime()).isLessThan(deadline);
    }
  }

  private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, request);
  }

  private <Q, A> Future<A> begin(MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.futureUnaryCall(channel.newCall(method, CallOptions.DEFAULT), request);
  }

  private <Q, A> void refused(MethodDescriptor<Q, A> method, Q request, String message)
      throws InterruptedException {
    assertThat(failure(begin(method, request))).isEqualTo(message);
  }

  private static String failure(Future<?> call) throws InterruptedException {
    try {
      return "answered " + call.get();
    } catch (ExecutionException e) {
      return String.valueOf(Status.fromThrowable(e).asRuntimeException().getMessage());
    }
  }
}
