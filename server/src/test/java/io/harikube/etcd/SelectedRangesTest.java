package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.KubernetesSelectors;
import io.harikube.sql.SqlStore;
import io.harikube.store.StoreMetrics;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Ranges with selectors, and streams of them, over the network. */
@OnSqlDatabases
final class SelectedRangesTest {
  private static final String PODS = "/registry/pods/";

  @AutoClose private final TestStore place;
  private TestServer test;

  SelectedRangesTest(Database database) {
    place = database.open();
    place.store().close();
  }

  @BeforeEach
  void start() throws Exception {
    var selectors = new KubernetesSelectors(new KeySpace("/registry"));
    test =
        new TestServer(
            SqlStore.open(place.options(), place.clock(), StoreMetrics.NONE, selectors), selectors);
    for (int i = 0; i < 300; i++) {
      String name = "p%03d".formatted(i);
      test.put(
          PODS + "n/" + name,
          """
          {"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","namespace":"n","labels":{"a":"%d"},
           "annotations":{"long":"%s"}},"spec":{"nodeName":"n%d"}}"""
              .formatted(name, i % 3, "x".repeat(10_000), i % 5));
    }
  }

  @AfterEach
  void stop() {
    test.close();
  }

  private static RangeRequest.Builder pods(String labels, String fields) {
    return RangeRequest.newBuilder()
        .setKey(TestServer.key(PODS))
        .setRangeEnd(TestServer.key("/registry/pods0"))
        .setLabelSelector(labels)
        .setFieldSelector(fields);
  }

  private RangeResponse range(RangeRequest request) {
    return test.call(EtcdApi.RANGE, request);
  }

  private RangeResponse stream(RangeRequest request) throws Exception {
    var reader = new Reader<>(test.channel(), EtcdApi.RANGE_STREAM);
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
