package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.EtcdApi;
import io.harikube.etcd.proto.HashKVRequest;
import io.harikube.etcd.proto.HashKVResponse;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.testing.TestPostgres;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stores that weigh more than the memory of the processes that save and restore them. */
class BigStoreTest {
  private static final int VALUE = 1_400_000;

  @TempDir Path folder;

  private static <Q, A> A call(Channel channel, MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.blockingUnaryCall(
        channel, method, CallOptions.DEFAULT.withDeadlineAfter(5, TimeUnit.MINUTES), request);
  }

  private static void fill(Channel channel, int values) {
    Random random = new Random(1);
    byte[] value = new byte[VALUE];
    for (int i = 0; i < values; i++) {
      random.nextBytes(value);
      call(
          channel,
          EtcdApi.PUT,
          PutRequest.newBuilder()
              .setKey(ByteString.copyFromUtf8("key" + i))
              .setValue(UnsafeByteOperations.unsafeWrap(value.clone()))
              .build());
    }
  }

  private static HashKVResponse hash(Channel channel) {
    return call(channel, EtcdApi.HASH_KV, HashKVRequest.getDefaultInstance());
  }

  private static void snapshot(Channel channel, Path file) throws IOException {
    try (OutputStream out = Files.newOutputStream(file)) {
      var parts =
          ClientCalls.blockingServerStreamingCall(
              channel, EtcdApi.SNAPSHOT, CallOptions.DEFAULT, SnapshotRequest.getDefaultInstance());
      while (parts.hasNext()) {
        parts.next().getBlob().writeTo(out);
      }
    }
  }

  private static String postgres() {
    return "--endpoint=" + TestPostgres.shared().newDatabase().url();
  }

  private String sqlite() {
    return "--endpoint=sqlite://" + folder.resolve("state.db");
  }

  /** Saves one store, and restores it into the other database. */
  private void moves(int values, String from, String to) throws Exception {
    Path file = folder.resolve("snapshot.db");
    int hash;
    try (Child server = new Child(from)) {
      fill(server.channel(), values);
      hash = hash(server.channel()).getHash();
      snapshot(server.channel(), file);
      server.stop();
    }
    assertThat(Files.size(file)).isGreaterThan((long) values * VALUE);
    Process restore = Child.start(Main.class, "restore", file.toString(), "--exact", to);
    List<String> said = restore.errorReader().lines().toList();
    assertThat(restore.waitFor(10, TimeUnit.MINUTES)).isTrue();
    assertThat(restore.exitValue()).as(said.toString()).isZero();
    try (Child server = new Child(to)) {
      HashKVResponse restored = hash(server.channel());
      assertThat(restored.getHash()).isEqualTo(hash);
      assertThat(restored.getHeader().getRevision()).isEqualTo(values + 1L);
      server.stop();
    }
  }

  @Test
  void fromSqlite() throws Exception {
    moves(230, sqlite(), postgres());
  }

  @Test
  void fromPostgres() throws Exception {
    moves(230, postgres(), sqlite());
  }

  @Test
  @Tag("long")
  void twoGigabytesFromSqlite() throws Exception {
    moves(1_500, sqlite(), postgres());
  }

  @Test
  @Tag("long")
  void twoGigabytesFromPostgres() throws Exception {
    moves(1_500, postgres(), sqlite());
  }
}
