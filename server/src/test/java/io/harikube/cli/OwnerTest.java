package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.EtcdApi;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.testing.TestPostgres;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Servers that know their store, and what becomes of it. */
class OwnerTest {
  private String owner = "";
  private Path sqlite = Path.of("");

  @TempDir Path folder;

  @BeforeEach
  void names() {
    owner = "--owner-file=" + folder.resolve("owner");
    sqlite = folder.resolve("state.db");
  }

  private static CallOptions soon() {
    return CallOptions.DEFAULT.withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  private static long put(Channel channel, String value) {
    PutRequest request =
        PutRequest.newBuilder()
            .setKey(ByteString.copyFromUtf8("a"))
            .setValue(ByteString.copyFromUtf8(value))
            .build();
    return ClientCalls.blockingUnaryCall(channel, EtcdApi.PUT, soon(), request)
        .getHeader()
        .getRevision();
  }

  private static RangeResponse read(Channel channel) {
    RangeRequest request = RangeRequest.newBuilder().setKey(ByteString.copyFromUtf8("a")).build();
    return ClientCalls.blockingUnaryCall(channel, EtcdApi.RANGE, soon(), request);
  }

  private static String value(Channel channel) {
    return read(channel).getKvs(0).getValue().toStringUtf8();
  }

  /** Runs a command in this process that ends by itself; code and output. */
  private static String run(String... arguments) {
    StringWriter out = new StringWriter();
    int code =
        Main.commandLine(Map.of(), Main.parts())
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(out, true))
            .execute(arguments);
    return code + ": " + out.toString().strip();
  }

  /** What a server says that does not start. */
  private static String refused(String... options) {
    List<String> arguments = new ArrayList<>(List.of("server", "--listen-address=127.0.0.1:0"));
    arguments.add("--metrics-bind-address=0");
    arguments.addAll(Arrays.asList(options));
    return run(arguments.toArray(new String[0]));
  }

  private void snapshot(Channel channel, Path file) throws Exception {
    try (OutputStream out = Files.newOutputStream(file)) {
      var parts =
          ClientCalls.blockingServerStreamingCall(
              channel, EtcdApi.SNAPSHOT, CallOptions.DEFAULT, SnapshotRequest.getDefaultInstance());
      while (parts.hasNext()) {
        parts.next().getBlob().writeTo(out);
      }
    }
  }

  @Test
  void aStoreMovesToTheOtherDatabaseAndIsNotMistakenForWhatItLeaves() throws Exception {
    TestPostgres.Database database = TestPostgres.shared().newDatabase();
    String here = "--endpoint=sqlite://" + sqlite;
    String there = "--endpoint=" + database.url();
    Path file = folder.resolve("snapshot");
    String id;
    try (Child first = new Child(here, owner)) {
      assertThat(put(first.channel(), "1")).isEqualTo(2);
      snapshot(first.channel(), file);
      id = Long.toHexString(read(first.channel()).getHeader().getClusterId());
      first.stop();
    }

    // The new database is named, but nothing was restored into it.
    String empty = refused(there, owner);
    assertThat(empty)
        .startsWith("1: There is no store at postgresql://127.0.0.1:")
        .contains("sqlite://" + sqlite + " (cluster id " + id + ", revision 2)", "--accept-store")
        .endsWith(".")
        .doesNotContain("\n");
    assertThat(run("restore", file.toString(), there)).startsWith("0: Restored ");
    try (Child moved = new Child(there, owner)) {
      assertThat(value(moved.channel())).isEqualTo("1");
      assertThat(put(moved.channel(), "2")).isEqualTo(1_000_000_003);
      moved.kill9();
    }
    assertThat(refused(here, owner))
        .startsWith("1: The store at sqlite://" + sqlite + " is at revision 2, an earlier state: ")
        .contains("revision 1000000002", "--accept-store")
        .doesNotContain("\n");
    assertThat(refused("--endpoint=sqlite://" + folder.resolve("typo.db"), owner))
        .startsWith("1: There is no store at sqlite://");
    assertThat(folder.resolve("typo.db")).doesNotExist();
    try (Child again = new Child(there, owner)) {
      assertThat(value(again.channel())).isEqualTo("2");
      again.stop();
    }

    // Back, knowingly: whoever knows a revision of the other has to read anew.
    try (Child back = new Child(here, owner, "--accept-store")) {
      assertThat(value(back.channel())).isEqualTo("1");
      assertThat(put(back.channel(), "3")).isEqualTo(2_000_000_004);
      back.stop();
    }
    try (Child back = new Child(here, owner)) {
      assertThat(value(back.channel())).isEqualTo("3");
    }
    TestPostgres.shared().drop(database);
  }

  @Test
  void aBackupThatIsPutBackIsTakenAndHasClientsReadAnew() throws Exception {
    String here = "--endpoint=sqlite://" + sqlite;
    try (Child first = new Child(here, owner)) {
      assertThat(put(first.channel(), "1")).isEqualTo(2);
      first.stop();
    }
    Files.copy(sqlite, folder.resolve("backup"));
    try (Child second = new Child(here, owner)) {
      assertThat(put(second.channel(), "2")).isEqualTo(3);
      second.stop();
    }
    Files.delete(sqlite);
    assertThat(refused(here, owner)).startsWith("1: There is no store at ");
    Files.copy(folder.resolve("backup"), sqlite);
    try (Child third = new Child(here, owner)) {
      assertThat(value(third.channel())).isEqualTo("1");
      assertThat(put(third.channel(), "3")).isEqualTo(1_000_000_004);
    }
  }

  @Test
  void twoServersOnOneDatabaseKnowItBoth() throws Exception {
    TestPostgres.Database database = TestPostgres.shared().newDatabase();
    String endpoint = "--endpoint=" + database.url();
    String other = "--owner-file=" + folder.resolve("other");
    try (Child first = new Child(endpoint, owner, "--name=first")) {
      assertThat(put(first.channel(), "1")).isEqualTo(2);
      // One that knows another store does not take it.
      try (Child apart = new Child("--endpoint=sqlite://" + sqlite, other)) {
        apart.stop();
      }
      assertThat(refused(endpoint, other)).startsWith("1: The store at postgresql://");
      assertThat(put(first.channel(), "2")).isEqualTo(3);
      Files.delete(folder.resolve("other"));
      try (Child second = new Child(endpoint, other, "--name=second")) {
        assertThat(first.ended()).isEqualTo(4);
        assertThat(put(second.channel(), "3")).isEqualTo(4);
        second.stop();
      }
    }
    try (Child first = new Child(endpoint, owner, "--name=first")) {
      assertThat(value(first.channel())).isEqualTo("3");
      assertThat(put(first.channel(), "4")).isEqualTo(5);
    }
    assertThat(Files.readString(folder.resolve("owner")).lines().toList().get(1))
        .isEqualTo(Files.readString(folder.resolve("other")).lines().toList().get(1));
    TestPostgres.shared().drop(database);
  }
}
