package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.sun.net.httpserver.HttpServer;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.EtcdApi;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.SnapshotRequest;
import io.harikube.etcd.proto.SnapshotResponse;
import io.harikube.testing.Await;
import io.harikube.testing.TestPostgres;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** All parts together, in processes of their own where it matters. */
class WholeServerTest {
  @TempDir Path folder;

  private static <Q, A> A call(Channel channel, MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.blockingUnaryCall(
        channel, method, CallOptions.DEFAULT.withDeadlineAfter(30, TimeUnit.SECONDS), request);
  }

  private static long put(Channel channel, String key, String value) {
    PutRequest request =
        PutRequest.newBuilder()
            .setKey(ByteString.copyFromUtf8(key))
            .setValue(ByteString.copyFromUtf8(value))
            .build();
    return call(channel, EtcdApi.PUT, request).getHeader().getRevision();
  }

  private static String read(Channel channel, String key) {
    RangeRequest request = RangeRequest.newBuilder().setKey(ByteString.copyFromUtf8(key)).build();
    return call(channel, EtcdApi.RANGE, request).getKvs(0).getValue().toStringUtf8();
  }

  private static void snapshot(Channel channel, Path file) throws IOException {
    try (OutputStream out = Files.newOutputStream(file)) {
      Iterator<SnapshotResponse> parts =
          ClientCalls.blockingServerStreamingCall(
              channel, EtcdApi.SNAPSHOT, CallOptions.DEFAULT, SnapshotRequest.getDefaultInstance());
      while (parts.hasNext()) {
        parts.next().getBlob().writeTo(out);
      }
    }
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

  @Test
  void aLifeOnSqlite() throws Exception {
    Path file = folder.resolve("new").resolve("state.db");
    String endpoint = "--endpoint=sqlite://" + file;
    Path snapshot = folder.resolve("snapshot.db");
    try (Child first = new Child(endpoint)) {
      assertThat(put(first.channel(), "a", "1")).isEqualTo(2);
      assertThat(put(first.channel(), "a", "2")).isEqualTo(3);
      assertThat(first.get("/readyz?verbose")).contains("[+]linearizable_read ok");
      assertThat(first.get("/health")).isEqualTo("{\"health\":\"true\",\"reason\":\"\"}");
      assertThat(first.get("/metrics").lines())
          .contains(
              "etcd_debugging_mvcc_current_revision 3",
              "etcd_server_has_leader 1",
              "grpc_server_started_total{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\","
                  + "grpc_type=\"unary\"} 2",
              "etcd_debugging_mvcc_watcher_total 0")
          .anyMatch(line -> line.matches("etcd_mvcc_db_total_size_in_bytes [1-9].*"));

      assertThat(
              Child.refused(
                  1,
                  "server",
                  endpoint,
                  "--listen-address=127.0.0.1:0",
                  "--metrics-bind-address=0"))
          .containsExactly("The database " + file + " is in use by another server.");
      snapshot(first.channel(), snapshot);
      assertThat(first.stop()).last().asString().endsWith("Shut down.");
    }
    try (Child second = new Child(endpoint)) {
      assertThat(read(second.channel(), "a")).isEqualTo("2");
      assertThat(put(second.channel(), "b", "3")).isEqualTo(4);
    }

    Path restored = folder.resolve("restored.db");
    assertThat(run("restore", snapshot.toString(), "--endpoint=sqlite://" + restored))
        .isEqualTo("0: Restored sqlite://" + restored + " to revision 1000000003.");
    assertThat(run("restore", snapshot.toString(), "--endpoint=sqlite://" + restored))
        .startsWith("1: ")
        .endsWith(".");
    try (Child third = new Child("--endpoint=sqlite://" + restored)) {
      assertThat(read(third.channel(), "a")).isEqualTo("2");
      assertThat(put(third.channel(), "c", "4")).isGreaterThan(3);
    }
  }

  @Test
  void aLifeOnPostgres() throws Exception {
    TestPostgres.Database database = TestPostgres.shared().newDatabase();
    String endpoint = "--endpoint=" + database.url();
    try (Child first = new Child(endpoint, "--datastore-max-open-connections=3")) {
      assertThat(put(first.channel(), "a", "1")).isEqualTo(2);
      assertThat(first.get("/readyz")).isEqualTo("ok\n");
      assertThat(first.stop()).last().asString().endsWith("Shut down.");
    }
    try (Child second = new Child(endpoint)) {
      assertThat(read(second.channel(), "a")).isEqualTo("1");
    }
  }

  @Test
  void theStatusOfGarbageCollection() throws Exception {
    try (Child server = new Child("--endpoint=sqlite://" + folder.resolve("state.db"))) {
      String things = "/registry/example.com/things/n/";
      put(
          server.channel(),
          "/registry/apiextensions.k8s.io/customresourcedefinitions/things.example.com",
          """
          {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
           "metadata":{"name":"things.example.com"},"spec":{"group":"example.com",
           "scope":"Namespaced","names":{"plural":"things","kind":"Thing"},
           "versions":[{"name":"v1","served":true}]}}""");
      put(
          server.channel(),
          things + "a",
          """
          {"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"a","namespace":"n",
           "uid":"uid-a","labels":{"skip-controller-manager-metadata-caching":""},
           "ownerReferences":[{"apiVersion":"example.com/v1","kind":"Thing","name":"gone",
           "uid":"uid-gone"}]}}""");
      Await.until(
          "it is collected",
          () ->
              run("gc", "status", "--url=" + server.url())
                  .lines()
                  .anyMatch(line -> line.matches("deleted +1")));
      assertThat(run("gc", "status", "--url=" + server.url()).lines())
          .anyMatch(line -> line.matches("waiting +0"))
          .anyMatch(line -> line.matches("errors +0"))
          .anyMatch(line -> line.matches("handed over +0"));
      String url = server.url();
      server.stop();
      assertThat(run("gc", "status", "--url=" + url))
          .startsWith("1: There are no metrics at " + url)
          .doesNotContain("\n");
      assertThat(run("gc", "status", "--url=nonsense")).startsWith("1: ").doesNotContain("\n");
    }
  }

  @Test
  void theStatusOfGarbageCollectionIsWhateverIsServed() throws Exception {
    byte[] metrics =
        """
        harikube_gc_ready NaN
        harikube_gc_waiting{a="b"} 1.5E6
        harikube_gc_deleted_total 1.2.E
        """
            .getBytes(StandardCharsets.UTF_8);
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/metrics",
        exchange -> {
          exchange.sendResponseHeaders(200, metrics.length);
          exchange.getResponseBody().write(metrics);
          exchange.close();
        });
    server.start();
    try {
      assertThat(run("gc", "status", "--url=http://127.0.0.1:" + server.getAddress().getPort()))
          .containsPattern("ready +unknown")
          .containsPattern("waiting +1500000")
          .doesNotContain("deleted");
    } finally {
      server.stop(0);
    }
  }

  @Test
  void nothingStaysInTheFolderForTemporaryFiles() throws Exception {
    Path temporary = Files.createDirectory(folder.resolve("temporary"));
    String endpoint = "--endpoint=sqlite://" + folder.resolve("state.db");
    try (Child server = new Child(temporary, endpoint)) {
      assertThat(put(server.channel(), "a", "1")).isEqualTo(2);
      assertThat(temporary).isEmptyDirectory();
      server.kill9();
    }
    try (Child server = new Child(temporary, endpoint)) {
      snapshot(server.channel(), folder.resolve("snapshot.db"));
      server.stop();
    }
    assertThat(temporary).isEmptyDirectory();
  }

  @Test
  void databasesThatCannotBeOpenedGetOneSentence() throws Exception {
    Path plain = Files.writeString(folder.resolve("plain"), "x");
    assertThat(serve("sqlite://" + plain + "/state.db"))
        .startsWith("1: Cannot use the database file ")
        .endsWith(".");
    assertThat(serve("sqlite://" + Files.writeString(folder.resolve("text.db"), "no database")))
        .startsWith("1: ")
        .endsWith(".")
        .doesNotContain("\n");

    Path newer = folder.resolve("newer.db");
    try (Child server = new Child("--endpoint=sqlite://" + newer)) {
      server.stop();
    }
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + newer);
        Statement statement = connection.createStatement()) {
      statement.execute("UPDATE meta SET schema_version = 1000");
    }
    assertThat(serve("sqlite://" + newer)).startsWith("1: ").contains("1000").endsWith(".");

    int closed;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      closed = socket.getLocalPort();
    }
    assertThat(serve("postgres://u:geheim@127.0.0.1:" + closed + "/db"))
        .startsWith("1: Cannot connect to postgresql://127.0.0.1:" + closed + "/db: ")
        .endsWith(".")
        .doesNotContain("geheim", "\n");
  }

  private static String serve(String endpoint) {
    return run(
        "server",
        "--listen-address=127.0.0.1:0",
        "--metrics-bind-address=0",
        "--endpoint=" + endpoint);
  }
}
