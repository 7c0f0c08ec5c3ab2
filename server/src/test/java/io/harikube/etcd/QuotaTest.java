package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.AlarmMember;
import io.harikube.etcd.proto.AlarmRequest;
import io.harikube.etcd.proto.AlarmResponse;
import io.harikube.etcd.proto.AlarmType;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.StatusRequest;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.store.Store;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class QuotaTest {
  private static final long QUOTA = 1 << 20;
  private static final String NO_SPACE =
      "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded";

  @TempDir private Path dir;
  private Store store;
  private EtcdServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws Exception {
    store = TestStore.open(dir);
    server =
        EtcdServer.builder(store, TestServer.NO_WATCHES)
            .quotaBytes(QUOTA)
            .listen("127.0.0.1:0")
            .build();
    server.start();
    channel = Connection.channel(server.port());
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.close();
    store.close();
  }

  @Test
  void whatDoesNotFitIsRefusedUntilTheAlarmIsCleared() {
    PutRequest small = TestServer.putRequest("k", "v").build();
    PutRequest big = TestServer.putRequest("k", "v".repeat((int) QUOTA)).build();
    call(EtcdApi.PUT, small);
    assertThat(refusal(EtcdApi.PUT, big)).isEqualTo(NO_SPACE);

    AlarmResponse alarms = call(EtcdApi.ALARM, AlarmRequest.getDefaultInstance());
    AlarmMember alarm = alarms.getAlarms(0);
    assertThat(alarm.getAlarm()).isEqualTo(AlarmType.NOSPACE);
    assertThat(alarm.getMemberID()).isEqualTo(store.identity().memberId());
    assertThat(refusal(EtcdApi.PUT, small)).isEqualTo(NO_SPACE);
    call(EtcdApi.DELETE_RANGE, DeleteRangeRequest.newBuilder().setKey(small.getKey()).build());

    call(
        EtcdApi.ALARM,
        AlarmRequest.newBuilder()
            .setAction(AlarmRequest.AlarmAction.DEACTIVATE)
            .setMemberID(alarm.getMemberID())
            .setAlarm(alarm.getAlarm())
            .build());
    call(EtcdApi.PUT, small);
  }

  @Test
  void theDearerBranchOfATransactionCounts() {
    var put =
        RequestOp.newBuilder()
            .setRequestPut(TestServer.putRequest("k", "v".repeat((int) QUOTA)))
            .build();
    TxnRequest nested =
        TxnRequest.newBuilder()
            .addFailure(
                RequestOp.newBuilder().setRequestTxn(TxnRequest.newBuilder().addSuccess(put)))
            .build();
    assertThat(Quota.cost(nested)).isEqualTo(QUOTA + 1 + 256);
    assertThat(refusal(EtcdApi.TXN, nested)).isEqualTo(NO_SPACE);
  }

  @Test
  void fillingTheDatabaseEndsAtTheQuota() {
    PutRequest put = TestServer.putRequest("k", "v".repeat(4000)).build();
    String refusal = "";
    for (int i = 0; i < 1000 && refusal.isEmpty(); i++) {
      try {
        call(EtcdApi.PUT, put);
      } catch (io.grpc.StatusRuntimeException e) {
        refusal = String.valueOf(e.getMessage());
      }
    }
    assertThat(refusal).isEqualTo(NO_SPACE);
    var status = call(EtcdApi.STATUS, StatusRequest.getDefaultInstance());
    assertThat(status.getDbSize()).isBetween(QUOTA / 2, QUOTA + QUOTA / 8);
    assertThat(status.getDbSizeQuota()).isEqualTo(QUOTA);
  }

  private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, request);
  }

  private <Q, A> String refusal(MethodDescriptor<Q, A> method, Q request) {
    try {
      return "answered " + call(method, request);
    } catch (io.grpc.StatusRuntimeException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
