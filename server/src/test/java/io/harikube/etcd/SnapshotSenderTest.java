package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.etcd.proto.SnapshotResponse;
import io.harikube.store.Identity;
import io.harikube.store.MemoryBudget;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class SnapshotSenderTest {
  private static final Headers HEADERS = new Headers(() -> new Identity(1, 2, 3), () -> 9);

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 511, 512, 65_535, 65_536, 65_537, 200_000, 262_144})
  void isWhatEtcdctlTakes(int size) throws Exception {
    byte[] data = new byte[size];
    new Random(size).nextBytes(data);
    List<SnapshotResponse> messages = new ArrayList<>();
    assertThat(send(data, size, messages).isOk()).isTrue();

    var file = new ByteArrayOutputStream();
    for (SnapshotResponse message : messages) {
      assertThat(message.getHeader().getRevision()).isEqualTo(7);
      assertThat(message.getVersion()).isEqualTo("3.6.0");
      message.getBlob().writeTo(file);
    }
    byte[] bytes = file.toByteArray();
    assertThat(bytes.length % 512).isEqualTo(32);
    byte[] content = Arrays.copyOf(bytes, bytes.length - 32);
    assertThat(content.length - size).isBetween(0, 511);
    assertThat(Arrays.copyOf(content, size)).isEqualTo(data);
    assertThat(MessageDigest.getInstance("SHA-256").digest(content))
        .isEqualTo(Arrays.copyOfRange(bytes, bytes.length - 32, bytes.length));

    long remaining = content.length;
    for (SnapshotResponse message : messages.subList(0, messages.size() - 1)) {
      remaining -= message.getBlob().size();
      assertThat(message.getRemainingBytes()).isEqualTo(remaining);
    }
    assertThat(messages.getLast().getRemainingBytes()).isZero();
    assertThat(messages.getLast().getBlob().size()).isEqualTo(32);
  }

  @Test
  void aSnapshotOfAnotherSizeThanSaidFails() throws Exception {
    List<SnapshotResponse> messages = new ArrayList<>();
    assertThat(send(new byte[100], 101, messages).getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(send(new byte[101], 100, messages).getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(send(new byte[2000], 100, messages).getCode()).isEqualTo(Status.Code.INTERNAL);
  }

  private static Status send(byte[] data, long said, List<SnapshotResponse> messages)
      throws Exception {
    var calls = TestServer.calls(new MemoryBudget(1 << 20), GlobalEventExecutor.INSTANCE);
    ServerServiceDefinition service =
        ServerServiceDefinition.builder("etcdserverpb.Maintenance")
            .addMethod(
                EtcdApi.SNAPSHOT,
                calls.blocking(
                    (_, answer) -> {
                      var sender = new SnapshotSender(answer, HEADERS, "3.6.0");
                      try (OutputStream out = sender.begin(said, 7)) {
                        int half = data.length / 2;
                        for (int i = 0; i < Math.min(half, 10); i++) {
                          out.write(data[i]);
                        }
                        int from = Math.min(half, 10);
                        out.write(data, from, data.length - from);
                      }
                      sender.finish();
                      answer.end();
                    }))
            .build();
    try (var connection = new Connection(service)) {
      var reader = new Reader<>(connection.channel(), EtcdApi.SNAPSHOT);
      reader.send(SnapshotRequest.getDefaultInstance());
      reader.halfClose();
      Status status = reader.end();
      messages.addAll(reader.received());
      return status;
    }
  }
}
