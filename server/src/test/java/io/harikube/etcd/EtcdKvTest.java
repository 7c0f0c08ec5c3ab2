package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.etcd.proto.CompactionRequest;
import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.DeleteRangeResponse;
import io.harikube.etcd.proto.KeyValue;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.PutResponse;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Keys and values, as a client sees them. */
@Timeout(60)
final class EtcdKvTest {
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
  void putsAndRanges() {
    PutResponse put = test.put("a", "1");
    assertThat(put.getHeader().getRevision()).isEqualTo(2);
    assertThat(put.getHeader().getClusterId()).isEqualTo(test.store().identity().clusterId());
    assertThat(put.getHeader().getMemberId()).isEqualTo(test.store().identity().memberId());
    assertThat(put.getHeader().getRaftTerm()).isEqualTo(test.store().identity().term());
    assertThat(put.hasPrevKv()).isFalse();
    test.put("b", "2");
    PutResponse again =
        test.call(EtcdApi.PUT, TestServer.putRequest("a", "3").setPrevKv(true).build());
    assertThat(again.getPrevKv().getValue().toStringUtf8()).isEqualTo("1");

    RangeResponse all = test.call(EtcdApi.RANGE, TestServer.all().build());
    assertThat(all.getHeader().getRevision()).isEqualTo(4);
    assertThat(all.getCount()).isEqualTo(2);
    assertThat(all.getMore()).isFalse();
    KeyValue a = all.getKvs(0);
    assertThat(a.getKey().toStringUtf8()).isEqualTo("a");
    assertThat(a.getValue().toStringUtf8()).isEqualTo("3");
    assertThat(a.getCreateRevision()).isEqualTo(2);
    assertThat(a.getModRevision()).isEqualTo(4);
    assertThat(a.getVersion()).isEqualTo(2);

    RangeResponse limited =
        test.call(EtcdApi.RANGE, TestServer.all().setLimit(1).setKeysOnly(true).build());
    assertThat(limited.getKvsList()).hasSize(1);
    assertThat(limited.getMore()).isTrue();
    assertThat(limited.getCount()).isEqualTo(2);
    assertThat(limited.getKvs(0).getValue().isEmpty()).isTrue();
    RangeResponse old = test.call(EtcdApi.RANGE, TestServer.all().setRevision(2).build());
    assertThat(old.getHeader().getRevision()).isEqualTo(4);
    assertThat(old.getCount()).isEqualTo(1);
    RangeResponse sorted =
        test.call(
            EtcdApi.RANGE, TestServer.all().setSortTarget(RangeRequest.SortTarget.MOD).build());
    assertThat(sorted.getKvs(0).getKey().toStringUtf8()).isEqualTo("b");
    RangeResponse count = test.call(EtcdApi.RANGE, TestServer.all().setCountOnly(true).build());
    assertThat(count.getKvsList()).isEmpty();
    assertThat(count.getCount()).isEqualTo(2);
  }

  @Test
  void deletes() {
    test.put("a", "1");
    test.put("b", "2");
    var prefix =
        DeleteRangeRequest.newBuilder()
            .setKey(TestServer.key("a"))
            .setRangeEnd(TestServer.key("c"));
    DeleteRangeResponse deleted =
        test.call(EtcdApi.DELETE_RANGE, prefix.clone().setPrevKv(true).build());
    assertThat(deleted.getDeleted()).isEqualTo(2);
    assertThat(deleted.getPrevKvsCount()).isEqualTo(2);
    assertThat(deleted.getHeader().getRevision()).isEqualTo(4);
    DeleteRangeResponse nothing = test.call(EtcdApi.DELETE_RANGE, prefix.build());
    assertThat(nothing.getDeleted()).isZero();
    assertThat(nothing.getHeader().getRevision()).isEqualTo(4);
  }

  @Test
  void transactions() {
    test.put("a", "1");
    RequestOp range = RequestOp.newBuilder().setRequestRange(TestServer.all()).build();
    TxnRequest txn =
        TxnRequest.newBuilder()
            .addCompare(
                Compare.newBuilder()
                    .setKey(TestServer.key("a"))
                    .setTarget(Compare.CompareTarget.MOD)
                    .setModRevision(2))
            .addSuccess(RequestOp.newBuilder().setRequestPut(TestServer.putRequest("b", "2")))
            .addSuccess(
                RequestOp.newBuilder().setRequestTxn(TxnRequest.newBuilder().addSuccess(range)))
            .addFailure(range)
            .build();
    TxnResponse done = test.call(EtcdApi.TXN, txn);
    assertThat(done.getSucceeded()).isTrue();
    assertThat(done.getHeader().getRevision()).isEqualTo(3);
    assertThat(done.getHeader().getMemberId()).isNotZero();
    assertThat(done.getResponses(0).getResponsePut().getHeader().getRevision()).isEqualTo(3);
    TxnResponse nested = done.getResponses(1).getResponseTxn();
    assertThat(nested.getHeader().getRevision()).isZero();
    assertThat(nested.getResponses(0).getResponseRange().getCount()).isEqualTo(2);

    test.put("a", "2");
    TxnResponse failed = test.call(EtcdApi.TXN, txn);
    assertThat(failed.getSucceeded()).isFalse();
    assertThat(failed.getHeader().getRevision()).isEqualTo(4);
    assertThat(failed.getResponses(0).getResponseRange().getKvsCount()).isEqualTo(2);
  }

  @Test
  void refusals() {
    test.put("a", "1");
    test.put("a", "2");
    test.refused(
        EtcdApi.RANGE,
        TestServer.all().setRevision(9).build(),
        "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
    test.refused(
        EtcdApi.PUT,
        PutRequest.getDefaultInstance(),
        "INVALID_ARGUMENT: etcdserver: key is not provided");
    test.refused(
        EtcdApi.PUT,
        PutRequest.newBuilder().setKey(TestServer.key("x")).setIgnoreValue(true).build(),
        "INVALID_ARGUMENT: etcdserver: key not found");
    test.refused(
        EtcdApi.PUT,
        TestServer.putRequest("x", "1").setLease(5).build(),
        "NOT_FOUND: etcdserver: requested lease not found");
    test.refused(
        EtcdApi.PUT,
        TestServer.putRequest("x", "y".repeat(100_000)).build(),
        "INVALID_ARGUMENT: etcdserver: request is too large");
    assertThatThrownBy(
            () -> test.call(EtcdApi.PUT, TestServer.putRequest("x", "y".repeat(1 << 20)).build()))
        .hasMessageStartingWith("RESOURCE_EXHAUSTED");
    test.refused(
        EtcdApi.COMPACT,
        CompactionRequest.newBuilder().setRevision(9).build(),
        "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
    var compaction = CompactionRequest.newBuilder().setRevision(3).setPhysical(true).build();
    assertThat(test.call(EtcdApi.COMPACT, compaction).getHeader().getRevision()).isEqualTo(3);
    String compacted = "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted";
    test.refused(EtcdApi.COMPACT, compaction, compacted);
    test.refused(EtcdApi.RANGE, TestServer.all().setRevision(2).build(), compacted);
    // None of it has changed anything.
    assertThat(test.call(EtcdApi.RANGE, TestServer.all().build()).getHeader().getRevision())
        .isEqualTo(3);
  }

  /** In a transaction a negative revision is one like any other, and below the compacted one. */
  @Test
  void negativeRevisions() {
    test.put("a", "1");
    String compacted = "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted";
    assertThat(test.call(EtcdApi.TXN, readAt(-1)).getResponses(0).getResponseRange().getCount())
        .isEqualTo(1);
    test.refused(EtcdApi.TXN, readAt(-2), compacted);
    test.call(EtcdApi.COMPACT, CompactionRequest.newBuilder().setRevision(2).build());
    test.refused(EtcdApi.TXN, readAt(-1), compacted);
    assertThat(test.call(EtcdApi.RANGE, TestServer.all().setRevision(-1).build()).getCount())
        .isEqualTo(1);
  }

  private static TxnRequest readAt(long revision) {
    var range = RequestOp.newBuilder().setRequestRange(TestServer.all().setRevision(revision));
    return TxnRequest.newBuilder().addSuccess(range).build();
  }

  @Test
  void streamedRanges() throws Exception {
    for (int i = 100; i < 250; i++) {
      test.put("k" + i, "v".repeat(20_000));
    }
    for (long limit : new long[] {0, 1, 117, 150, 200}) {
      RangeRequest request = TestServer.all().setLimit(limit).build();
      var reader = new Reader<>(test.channel(), EtcdApi.RANGE_STREAM);
      reader.send(request);
      reader.halfClose();
      assertThat(reader.end().isOk()).isTrue();
      assertThat(reader.received().size()).isGreaterThan(limit == 1 ? 0 : 2);
      // Kubernetes takes a part without keys for an error if there are more.
      assertThat(reader.received())
          .allSatisfy(part -> assertThat(part.getRangeResponse().getKvsCount()).isPositive());
      assertThat(reader.received().stream().filter(part -> part.getRangeResponse().hasHeader()))
          .as("the last has the header")
          .hasSize(1);
      var merged = RangeResponse.newBuilder();
      reader.received().forEach(part -> merged.mergeFrom(part.getRangeResponse()));
      assertThat(merged.build()).isEqualTo(test.call(EtcdApi.RANGE, request));
    }
    var count = new Reader<>(test.channel(), EtcdApi.RANGE_STREAM);
    count.send(TestServer.all().setCountOnly(true).build());
    count.halfClose();
    assertThat(count.next().getRangeResponse().getCount()).isEqualTo(150);
    assertThat(count.end().isOk()).isTrue();
  }

  @Test
  void bigAnswersAreCountedUntilTheyAreRead() throws Exception {
    for (int i = 0; i < 80; i++) {
      test.put("k" + i, "v".repeat(90_000));
    }
    var slow = new Reader<>(test.channel(), EtcdApi.RANGE);
    slow.send(TestServer.all().build());
    slow.halfClose();
    while (test.budget().used() < 7_000_000) {
      LockSupport.parkNanos(1_000_000);
    }
    slow.cancel();
    while (test.budget().used() > 0) {
      LockSupport.parkNanos(1_000_000);
    }
  }
}
