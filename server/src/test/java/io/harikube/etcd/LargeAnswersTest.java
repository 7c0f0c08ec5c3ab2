package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.KeyValue;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Tens of thousands of large answers that many take at the same time, so that the network takes
 * each in many parts: every byte of them is what was put.
 */
@Tag("long")
@Timeout(600)
final class LargeAnswersTest {
  private static final int KEYS = 500;
  private static final int VALUE_BYTES = 1024;
  private static final int CONNECTIONS = 8;
  private static final int CLIENTS = 64;
  private static final int ANSWERS = 800;

  private @TempDir Path dir;

  private static ByteString value(int key) {
    byte[] value = new byte[VALUE_BYTES];
    for (int i = 0; i < value.length; i++) {
      value[i] = (byte) (31 * key + 7 * i + i / 256);
    }
    return ByteString.copyFrom(value);
  }

  private static void read(ManagedChannel channel, List<KeyValue> wanted) {
    RangeRequest all =
        RangeRequest.newBuilder()
            .setKey(ByteString.copyFromUtf8("k"))
            .setRangeEnd(ByteString.copyFromUtf8("l"))
            .build();
    for (int answer = 0; answer < ANSWERS; answer++) {
      RangeResponse found =
          ClientCalls.blockingUnaryCall(channel, EtcdApi.RANGE, CallOptions.DEFAULT, all);
      assertThat(found.getKvsList().equals(wanted)).as("answer %s", answer).isTrue();
    }
  }

  @Test
  void areWhatWasPut() throws Exception {
    try (TestServer server = new TestServer(dir)) {
      for (int key = 0; key < KEYS; key++) {
        server.call(
            EtcdApi.PUT,
            TestServer.putRequest("k%04d".formatted(key), "").setValue(value(key)).build());
      }
      List<KeyValue> wanted =
          server
              .call(
                  EtcdApi.RANGE,
                  RangeRequest.newBuilder()
                      .setKey(ByteString.copyFromUtf8("k"))
                      .setRangeEnd(ByteString.copyFromUtf8("l"))
                      .build())
              .getKvsList();
      assertThat(wanted.stream().map(KeyValue::getValue))
          .containsExactlyElementsOf(
              IntStream.range(0, KEYS).mapToObj(LargeAnswersTest::value).toList());
      List<ManagedChannel> channels = new ArrayList<>();
      for (int i = 0; i < CONNECTIONS; i++) {
        channels.add(Connection.channel(server.server().port()));
      }
      try {
        List<CompletableFuture<Void>> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
          ManagedChannel channel = channels.get(i % CONNECTIONS);
          clients.add(
              CompletableFuture.runAsync(
                  () -> read(channel, wanted), task -> Thread.ofPlatform().daemon().start(task)));
        }
        for (CompletableFuture<Void> client : clients) {
          client.get(10, TimeUnit.MINUTES);
        }
      } finally {
        channels.forEach(ManagedChannel::shutdownNow);
      }
    }
  }
}
