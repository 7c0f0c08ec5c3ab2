package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.ResponseOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Selectors;
import io.harikube.store.Txn;
import io.harikube.store.Txn.Compare.Relation;
import io.harikube.store.Txn.Compare.Target;
import java.util.List;
import org.junit.jupiter.api.Test;

final class WireTest {
  private static final Bytes KEY = Bytes.of("k");

  @Test
  void aValueIsNotCopied() throws Exception {
    byte[] value = {1, 2, 3};
    assertThat(Wire.bytes(Wire.bytes(Bytes.of(value))).array()).isSameAs(value);
    PutRequest parsed =
        PutRequest.parseFrom(
            PutRequest.newBuilder().setValue(ByteString.copyFrom(value)).build().toByteArray());
    assertThat(Wire.bytes(parsed.getValue()).array())
        .isSameAs(Wire.bytes(parsed.getValue()).array())
        .isEqualTo(value);
  }

  @Test
  void bytesOfEveryShape() {
    ByteString text = ByteString.copyFromUtf8("abcdef");
    assertThat(Wire.bytes(ByteString.EMPTY)).isSameAs(Bytes.EMPTY);
    assertThat(Wire.bytes(text.substring(2, 4))).isEqualTo(Bytes.of("cd"));
    ByteString rope = ByteString.copyFrom(new byte[200]).concat(text);
    assertThat(Wire.bytes(rope).size()).isEqualTo(206);
    assertThat(Wire.bytes(rope).array())
        .endsWith("def".getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }

  @Test
  void rangeEnds() {
    ByteString key = ByteString.copyFromUtf8("k");
    assertThat(Wire.range(key, ByteString.EMPTY)).isEqualTo(KeyRange.single(KEY));
    assertThat(Wire.range(key, ByteString.copyFromUtf8("\0"))).isEqualTo(new KeyRange(KEY, null));
    assertThat(Wire.range(key, ByteString.copyFromUtf8("m")))
        .isEqualTo(new KeyRange(KEY, Bytes.of("m")));
    assertThat(Wire.range(key, ByteString.copyFromUtf8("a")).isEmpty()).isTrue();
  }

  @Test
  void everyOptionOfARange() {
    RangeRequest request =
        RangeRequest.newBuilder()
            .setKey(ByteString.copyFromUtf8("k"))
            .setLimit(7)
            .setRevision(8)
            .setSortOrder(RangeRequest.SortOrder.DESCEND)
            .setSortTarget(RangeRequest.SortTarget.MOD)
            .setSerializable(true)
            .setKeysOnly(true)
            .setCountOnly(true)
            .setMinModRevision(1)
            .setMaxModRevision(2)
            .setMinCreateRevision(3)
            .setMaxCreateRevision(4)
            .build();
    assertThat(TxnWire.query(request))
        .isEqualTo(
            new RangeQuery(
                KeyRange.single(KEY),
                7,
                8,
                RangeQuery.Target.MOD,
                RangeQuery.Order.DESCEND,
                true,
                true,
                1,
                2,
                3,
                4,
                Filter.NONE));
    RangeQuery negative = TxnWire.query(request.toBuilder().setLimit(-3).setRevision(-4).build());
    assertThat(negative.limit()).isZero();
    assertThat(negative.revision()).isEqualTo(-4);
  }

  @Test
  void compares() {
    var mod = compare(Compare.CompareTarget.MOD).setModRevision(5);
    assertThat(compiled(mod))
        .containsExactly(
            new Txn.Compare(KeyRange.single(KEY), Target.MOD, Relation.EQUAL, 5, null));
    var value =
        compare(Compare.CompareTarget.VALUE)
            .setValue(ByteString.copyFromUtf8("v"))
            .setRangeEnd(ByteString.copyFromUtf8("\0"))
            .setResult(Compare.CompareResult.NOT_EQUAL);
    assertThat(compiled(value))
        .containsExactly(
            new Txn.Compare(
                new KeyRange(KEY, null), Target.VALUE, Relation.NOT_EQUAL, 0, Bytes.of("v")));
    // The number of another target counts for nothing.
    assertThat(compiled(compare(Compare.CompareTarget.LEASE).setVersion(9)))
        .containsExactly(
            new Txn.Compare(KeyRange.single(KEY), Target.LEASE, Relation.EQUAL, 0, null));
  }

  @Test
  void comparesThatAreNotKnown() {
    assertThat(compiled(compare(Compare.CompareTarget.MOD).setResultValue(9))).isEmpty();
    assertThat(compiled(compare(Compare.CompareTarget.VALUE).setResultValue(9)))
        .containsExactly(
            new Txn.Compare(KeyRange.single(KEY), Target.CREATE, Relation.GREATER, 0, null));
    assertThat(compiled(compare(Compare.CompareTarget.MOD).setTargetValue(9))).isEmpty();
    assertThat(
            compiled(
                compare(Compare.CompareTarget.MOD)
                    .setTargetValue(9)
                    .setResult(Compare.CompareResult.LESS)))
        .singleElement()
        .satisfies(
            never -> assertThat(never.relation().holds(Long.compare(0, never.number()))).isFalse());
  }

  @Test
  void headersInsideOfATransaction() {
    var kv = new KeyValue(KEY, 3, 4, 2, Bytes.of("v"), 6);
    var inner = new OpResult.Txn(8, true, List.of(new OpResult.Put(9, kv)));
    var result =
        new OpResult.Txn(
            9,
            false,
            List.of(
                inner,
                new OpResult.Range(8, List.of(kv), true, 12),
                new OpResult.Delete(9, 1, List.of(kv))));
    TxnResponse wire = TxnWire.txn(result, Headers.inner(9));
    assertThat(wire.getSucceeded()).isFalse();
    TxnResponse nested = wire.getResponses(0).getResponseTxn();
    assertThat(wire.getResponses(0).getResponseTxn().hasHeader()).isTrue();
    assertThat(nested.getHeader().getRevision()).isZero();
    ResponseOp put = nested.getResponses(0);
    assertThat(put.getResponsePut().getHeader().getRevision()).isEqualTo(9);
    assertThat(put.getResponsePut().getHeader().getClusterId()).isZero();
    assertThat(put.getResponsePut().getPrevKv().getLease()).isEqualTo(6);
    var range = wire.getResponses(1).getResponseRange();
    assertThat(range.getHeader().getRevision()).isEqualTo(8);
    assertThat(range.getMore()).isTrue();
    assertThat(range.getCount()).isEqualTo(12);
    assertThat(range.getKvs(0).getVersion()).isEqualTo(2);
    assertThat(wire.getResponses(2).getResponseDeleteRange().getPrevKvsCount()).isEqualTo(1);
  }

  @Test
  void events() {
    var kv = new KeyValue(KEY, 3, 4, 2, Bytes.of("v"), 0);
    var deleted = Wire.event(new Event(KeyValue.deleted(KEY, 5), kv));
    assertThat(deleted.getType()).isEqualTo(io.harikube.etcd.proto.Event.EventType.DELETE);
    assertThat(deleted.getKv().getModRevision()).isEqualTo(5);
    assertThat(deleted.getPrevKv().getValue().toStringUtf8()).isEqualTo("v");
    var put = Wire.event(new Event(kv, null));
    assertThat(put.getType()).isEqualTo(io.harikube.etcd.proto.Event.EventType.PUT);
    assertThat(put.hasPrevKv()).isFalse();
  }

  @Test
  void watches() {
    assertThat(watch(WatchCreateRequest.getDefaultInstance()).range())
        .isEqualTo(KeyRange.single(Bytes.of(new byte[] {0})));
    var all =
        watch(
            WatchCreateRequest.newBuilder()
                .setRangeEnd(ByteString.copyFromUtf8("\0"))
                .addFilters(WatchCreateRequest.FilterType.NODELETE)
                .addFiltersValue(77)
                .setWatchId(5)
                .setStartRevision(6)
                .setPrevKv(true)
                .setProgressNotify(true)
                .setFragment(true)
                .build());
    assertThat(all)
        .isEqualTo(
            new io.harikube.watch.WatchRequest(
                5, new KeyRange(Bytes.of(new byte[] {0}), null), 6, true, false, true, true, true));
  }

  @Test
  void fieldsThatAreNotKnownArePassedOver() throws Exception {
    UnknownFieldSet more =
        UnknownFieldSet.newBuilder()
            .addField(
                14,
                UnknownFieldSet.Field.newBuilder()
                    .addLengthDelimited(ByteString.copyFromUtf8("app=web"))
                    .build())
            .build();
    RangeRequest request =
        RangeRequest.newBuilder()
            .setKey(ByteString.copyFromUtf8("k"))
            .setUnknownFields(more)
            .build();
    RangeRequest parsed = RangeRequest.parseFrom(request.toByteArray());
    RequestCheck.range(parsed);
    assertThat(TxnWire.query(parsed).range()).isEqualTo(KeyRange.single(KEY));
  }

  private static Compare.Builder compare(Compare.CompareTarget target) {
    return Compare.newBuilder().setKey(ByteString.copyFromUtf8("k")).setTarget(target);
  }

  private static List<Txn.Compare> compiled(Compare.Builder compare) {
    return TxnWire.txn(TxnRequest.newBuilder().addCompare(compare).build()).compares();
  }

  private static io.harikube.watch.WatchRequest watch(WatchCreateRequest request) {
    return WatchSession.watch(request, Selectors.NONE);
  }
}
