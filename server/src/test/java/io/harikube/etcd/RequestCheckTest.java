package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

final class RequestCheckTest {
  private static final RequestCheck CHECK = new RequestCheck(1000, 4);
  private static final Compare COMPARE = Compare.newBuilder().setKey(key("k")).build();

  @TestFactory
  Stream<DynamicTest> refusals() {
    var range = RangeRequest.newBuilder().setKey(key("k"));
    var put = PutRequest.newBuilder().setKey(key("k"));
    return Stream.of(
        refused(
            "range, no key",
            Code.INVALID_ARGUMENT,
            "etcdserver: key is not provided",
            () -> RequestCheck.range(RangeRequest.newBuilder().setRangeEnd(key("z")).build())),
        refused(
            "range, unknown order",
            Code.INVALID_ARGUMENT,
            "etcdserver: invalid sort option",
            () -> RequestCheck.range(range.clone().setSortOrderValue(3).build())),
        refused(
            "range, unknown target",
            Code.INVALID_ARGUMENT,
            "etcdserver: invalid sort option",
            () -> RequestCheck.range(range.clone().setSortTargetValue(-1).build())),
        refused(
            "stream, no key",
            Code.INVALID_ARGUMENT,
            "etcdserver: key is not provided",
            () -> RequestCheck.rangeStream(RangeRequest.getDefaultInstance())),
        refused(
            "stream, descending",
            Code.UNIMPLEMENTED,
            "RangeStream does not support custom sort orders",
            () ->
                RequestCheck.rangeStream(
                    range.clone().setSortOrder(RangeRequest.SortOrder.DESCEND).build())),
        refused(
            "stream, bounds",
            Code.UNIMPLEMENTED,
            "RangeStream does not support revision filters",
            () -> RequestCheck.rangeStream(range.clone().setMaxCreateRevision(1).build())),
        refused(
            "put, no key",
            Code.INVALID_ARGUMENT,
            "etcdserver: key is not provided",
            () -> RequestCheck.put(PutRequest.newBuilder().setIgnoreValue(true).build())),
        refused(
            "put, value to ignore",
            Code.INVALID_ARGUMENT,
            "etcdserver: value is provided",
            () -> RequestCheck.put(put.clone().setIgnoreValue(true).setValue(key("v")).build())),
        refused(
            "put, lease to ignore",
            Code.INVALID_ARGUMENT,
            "etcdserver: lease is provided",
            () -> RequestCheck.put(put.clone().setIgnoreLease(true).setLease(1).build())),
        refused(
            "delete, no key",
            Code.INVALID_ARGUMENT,
            "etcdserver: key is not provided",
            () -> RequestCheck.delete(DeleteRangeRequest.getDefaultInstance())),
        refused(
            "txn, compare without key",
            Code.INVALID_ARGUMENT,
            "etcdserver: key is not provided",
            () -> CHECK.txn(TxnRequest.newBuilder().addCompare(Compare.newBuilder()).build())),
        refused(
            "txn, put without key",
            Code.INVALID_ARGUMENT,
            "etcdserver: key is not provided",
            () -> CHECK.txn(TxnRequest.newBuilder().addFailure(put("")).build())),
        refused(
            "txn, no operation in an operation",
            Code.INVALID_ARGUMENT,
            "etcdserver: key not found",
            () -> CHECK.txn(TxnRequest.newBuilder().addSuccess(RequestOp.newBuilder()).build())),
        refused(
            "txn, too many compares",
            Code.INVALID_ARGUMENT,
            "etcdserver: too many operations in txn request",
            () -> CHECK.txn(compares(5))),
        refused(
            "txn, too many before no key",
            Code.INVALID_ARGUMENT,
            "etcdserver: too many operations in txn request",
            () -> CHECK.txn(compares(5).toBuilder().addSuccess(put("")).build())),
        refused(
            "txn, nested ones have what is left",
            Code.INVALID_ARGUMENT,
            "etcdserver: too many operations in txn request",
            () -> CHECK.txn(compares(3).toBuilder().addSuccess(nested(compares(2))).build())),
        refused(
            "txn, same key twice",
            Code.INVALID_ARGUMENT,
            "etcdserver: duplicate key given in txn request",
            () ->
                CHECK.txn(
                    TxnRequest.newBuilder().addSuccess(put("a")).addSuccess(put("a")).build())),
        refused(
            "txn, same key twice in the other branch",
            Code.INVALID_ARGUMENT,
            "etcdserver: duplicate key given in txn request",
            () ->
                CHECK.txn(
                    TxnRequest.newBuilder().addFailure(put("a")).addFailure(put("a")).build())));
  }

  @TestFactory
  Stream<DynamicTest> passes() {
    var range = RangeRequest.newBuilder().setKey(key("k"));
    return Stream.of(
        passed(
            "range with every sort",
            () ->
                RequestCheck.range(
                    range
                        .clone()
                        .setSortOrder(RangeRequest.SortOrder.DESCEND)
                        .setSortTarget(RangeRequest.SortTarget.VALUE)
                        .build())),
        passed(
            "negative limit and revision",
            () -> RequestCheck.range(range.clone().setLimit(-1).setRevision(-1).build())),
        passed(
            "stream, ascending",
            () ->
                RequestCheck.rangeStream(
                    range.clone().setSortOrder(RangeRequest.SortOrder.ASCEND).build())),
        passed(
            "stream, target without an order",
            () ->
                RequestCheck.rangeStream(
                    range.clone().setSortTarget(RangeRequest.SortTarget.CREATE).build())),
        passed("empty transaction", () -> CHECK.txn(TxnRequest.getDefaultInstance())),
        passed("as many as allowed", () -> CHECK.txn(compares(4))),
        passed(
            "nested, as many as allowed",
            () -> CHECK.txn(compares(3).toBuilder().addSuccess(nested(compares(1))).build())),
        passed(
            "same key in both branches",
            () ->
                CHECK.txn(
                    TxnRequest.newBuilder().addSuccess(put("a")).addFailure(put("a")).build())));
  }

  @Test
  void theSizeIsThatOfTheEntryInEtcdsLog() {
    // 13 of header, 1 of tag and 2 of length go on top of a request of two length bytes.
    assertThatCode(() -> CHECK.size(putOfSize(984))).doesNotThrowAnyException();
    assertThatThrownBy(() -> CHECK.size(putOfSize(985)))
        .hasMessage("INVALID_ARGUMENT: etcdserver: request is too large");
  }

  private static PutRequest putOfSize(int size) {
    int overhead = 6; // key with tag and length, value with tag and a length of two bytes
    PutRequest put =
        PutRequest.newBuilder()
            .setKey(key("k"))
            .setValue(ByteString.copyFrom(new byte[size - overhead]))
            .build();
    assertThat(put.getSerializedSize()).isEqualTo(size);
    return put;
  }

  @Test
  void onlyRangesAreReadOnly() {
    RequestOp range =
        RequestOp.newBuilder().setRequestRange(RangeRequest.newBuilder().setKey(key("k"))).build();
    TxnRequest reads = TxnRequest.newBuilder().addSuccess(range).addFailure(range).build();
    assertThat(RequestCheck.isReadOnly(reads)).isTrue();
    assertThat(RequestCheck.isReadOnly(TxnRequest.newBuilder().addSuccess(nested(reads)).build()))
        .isFalse();
    assertThat(RequestCheck.isReadOnly(reads.toBuilder().addFailure(put("a")).build())).isFalse();
    assertThat(RequestCheck.hasPut(reads)).isFalse();
    TxnRequest deep = TxnRequest.newBuilder().addFailure(put("a")).build();
    assertThat(RequestCheck.hasPut(TxnRequest.newBuilder().addSuccess(nested(deep)).build()))
        .isTrue();
  }

  private static DynamicTest refused(String name, Code code, String text, ThrowingCallable check) {
    return DynamicTest.dynamicTest(
        name,
        () ->
            assertThatThrownBy(check)
                .isInstanceOfSatisfying(
                    StatusRuntimeException.class,
                    e -> {
                      assertThat(e.getStatus().getCode()).isEqualTo(code);
                      assertThat(e.getStatus().getDescription()).isEqualTo(text);
                    }));
  }

  private static DynamicTest passed(String name, ThrowingCallable check) {
    return DynamicTest.dynamicTest(name, () -> assertThatCode(check).doesNotThrowAnyException());
  }

  private static TxnRequest compares(int count) {
    var txn = TxnRequest.newBuilder();
    for (int i = 0; i < count; i++) {
      txn.addCompare(COMPARE);
    }
    return txn.build();
  }

  @Test
  void aChangeMayNotScanWithoutEnd() {
    RequestOp scan =
        RequestOp.newBuilder()
            .setRequestRange(
                RangeRequest.newBuilder()
                    .setKey(ByteString.copyFromUtf8("a"))
                    .setRangeEnd(ByteString.copyFromUtf8("b")))
            .build();
    RequestCheck check = new RequestCheck(1000, 800);
    TxnRequest.Builder inner = TxnRequest.newBuilder();
    for (int i = 0; i < 40; i++) {
      inner.addSuccess(scan);
    }
    TxnRequest.Builder outer = TxnRequest.newBuilder();
    for (int i = 0; i < 20; i++) {
      outer.addSuccess(nested(inner.build()));
    }
    RequestOp put =
        RequestOp.newBuilder()
            .setRequestPut(PutRequest.newBuilder().setKey(ByteString.copyFromUtf8("c")))
            .build();
    check.txn(outer.clone().addSuccess(put).build());
    TxnRequest.Builder more = outer.addSuccess(scan);
    check.txn(more.build());
    assertThatThrownBy(() -> check.txn(more.clone().addSuccess(put).build()))
        .hasMessage("INVALID_ARGUMENT: etcdserver: too many operations in txn request");
  }

  private static RequestOp nested(TxnRequest txn) {
    return RequestOp.newBuilder().setRequestTxn(txn).build();
  }

  private static RequestOp put(String key) {
    return RequestOp.newBuilder().setRequestPut(PutRequest.newBuilder().setKey(key(key))).build();
  }

  private static ByteString key(String text) {
    return ByteString.copyFromUtf8(text);
  }
}
