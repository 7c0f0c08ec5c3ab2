package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.KubernetesSelectors;
import io.harikube.sql.Endpoint;
import io.harikube.sql.SqlOptions;
import io.harikube.sql.SqlStore;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.nio.file.Path;
import java.time.InstantSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ranges with selectors, and streams of them, over the network. */
final class SelectedRangesTest {
  private static final String PODS = "/registry/pods/";

  @TempDir private Path dir;
  private Store store;
  private WatchHub hub;
  private EtcdServer server;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws Exception {
    var selectors = new KubernetesSelectors(new KeySpace("/registry"));
    store =
        SqlStore.open(
            SqlOptions.of(new Endpoint.Sqlite(dir.resolve("store.db"))),
            InstantSource.system(),
            StoreMetrics.NONE,
            selectors);
    hub = new WatchHub(store.log(), WatchOptions.defaults());
    server =
        EtcdServer.builder(store, hub::open).listen("127.0.0.1:0").selectors(selectors).build();
    server.start();
    channel = Connection.channel(server.port());
    for (int i = 0; i < 300; i++) {
      String name = "p%03d".formatted(i);
      String pod =
          """
          {"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","namespace":"n","labels":{"a":"%d"},
           "annotations":{"long":"%s"}},"spec":{"nodeName":"n%d"}}"""
              .formatted(name, i % 3, "x".repeat(10_000), i % 5);
      ClientCalls.blockingUnaryCall(
          channel,
          EtcdApi.PUT,
          CallOptions.DEFAULT,
          PutRequest.newBuilder()
              .setKey(ByteString.copyFromUtf8(PODS + "n/" + name))
              .setValue(ByteString.copyFromUtf8(pod))
              .build());
    }
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.close();
    hub.close();
    store.close();
  }

  private static RangeRequest.Builder pods(String labels, String fields) {
    return RangeRequest.newBuilder()
        .setKey(ByteString.copyFromUtf8(PODS))
        .setRangeEnd(ByteString.copyFromUtf8("/registry/pods0"))
        .setLabelSelector(labels)
        .setFieldSelector(fields);
  }

  private RangeResponse range(RangeRequest request) {
    return ClientCalls.blockingUnaryCall(channel, EtcdApi.RANGE, CallOptions.DEFAULT, request);
  }

  private RangeResponse stream(RangeRequest request) throws Exception {
    var reader = new Reader<>(channel, EtcdApi.RANGE_STREAM);
    reader.send(request);
    reader.halfClose();
    assertThat(reader.end().isOk()).isTrue();
    var merged = RangeResponse.newBuilder();
    reader.received().forEach(part -> merged.mergeFrom(part.getRangeResponse()));
    return merged.build();
  }

  @Test
  void aStreamHasWhatTheRangeHas() throws Exception {
    assertThat(range(pods("a=1", "").build()).getKvsCount()).isEqualTo(100);
    assertThat(range(pods("a=1", "spec.nodeName=n2").build()).getKvsCount()).isEqualTo(20);
    for (var labels : new String[] {"", "a=1", "a!=1", "a=9"}) {
      for (var fields : new String[] {"", "spec.nodeName=n2", "metadata.name=p007"}) {
        for (long limit : new long[] {0, 1, 15}) {
          for (var order : RangeRequest.SortTarget.values()) {
            if (order != RangeRequest.SortTarget.UNRECOGNIZED) {
              RangeRequest request = pods(labels, fields).setLimit(limit).build();
              RangeRequest streamed = request.toBuilder().setSortTarget(order).build();
              assertThat(stream(streamed)).as("%s", streamed).isEqualTo(range(request));
            }
          }
        }
      }
    }
    RangeRequest keys = pods("a=1", "").setKeysOnly(true).build();
    assertThat(stream(keys)).isEqualTo(range(keys));
  }

  @Test
  void aThousandRequirementsAreNoError() throws Exception {
    StringBuilder labels = new StringBuilder("a=1");
    for (int i = 0; i < 1100; i++) {
      labels.append(",!l").append(i);
    }
    RangeRequest request = pods(labels.toString(), "").build();
    assertThat(range(request).getKvsCount()).isEqualTo(100);
    assertThat(stream(request)).isEqualTo(range(request));
  }
}
