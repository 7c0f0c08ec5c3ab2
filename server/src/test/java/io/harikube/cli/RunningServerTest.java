package io.harikube.cli;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.harikube.sql.Endpoint;
import io.harikube.tls.Certificates;
import io.harikube.tls.Certificates.Files3;
import io.harikube.tls.PemFiles;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

class RunningServerTest {
  private static final String PORT = "--listen-address=127.0.0.1:0";
  private static final String OPS = "--metrics-bind-address=127.0.0.1:0";

  private final StubParts stub = new StubParts();
  private final ListAppender<ILoggingEvent> log = new ListAppender<>();
  private @Nullable RunningServer server;

  @TempDir Path folder;

  @BeforeEach
  void listen() {
    log.start();
    ((Logger) LoggerFactory.getLogger(RunningServer.class)).addAppender(log);
  }

  @AfterEach
  void stop() {
    ((Logger) LoggerFactory.getLogger(RunningServer.class)).detachAppender(log);
    if (server != null) {
      server.close();
    }
  }

  private RunningServer start(String... arguments) throws Exception {
    return start(Map.of(), arguments);
  }

  private RunningServer start(Map<String, String> environment, String... arguments)
      throws Exception {
    ServerCommand command = new ServerCommand(environment, stub.parts());
    new CommandLine(command)
        .setDefaultValueProvider(new Environment(environment))
        .parseArgs(arguments);
    RunningServer running = new RunningServer();
    server = running;
    running.start(command.options, environment, stub.parts());
    return running;
  }

  private void refused(String sentence, String... arguments) {
    assertThatThrownBy(() -> start(arguments)).hasMessage(sentence);
    assertThat(stub.steps).as("the store is not touched").isEmpty();
  }

  @Test
  void nothingIsTouchedWhenAPortIsBusy() throws Exception {
    try (ServerSocket busy = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String address = "127.0.0.1:" + busy.getLocalPort();
      String sentence = "The address " + address + " is already in use.";
      refused(sentence, "--listen-address=" + address, OPS);
      refused(sentence, PORT, "--metrics-bind-address=" + address);
    }
    try (ServerSocketChannel busy = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      Path socket = folder.resolve("busy.sock");
      busy.bind(UnixDomainSocketAddress.of(socket));
      refused(
          "Another server listens on " + socket + ".", "--listen-address=unix://" + socket, OPS);
    }
  }

  @Test
  void nothingIsTouchedWhenAnOptionIsWrong() throws Exception {
    Files3 files = new Certificates().write(folder, "server");
    Path file = Files.writeString(folder.resolve("file"), " \n");
    refused(
        "The endpoint's scheme \"mysql\" is not supported; supported are"
            + " sqlite:///path/to/file.db and postgres://user@host:port/database.",
        PORT,
        OPS,
        "--endpoint=mysql://u:p@h/db");
    refused(
        "--listen-address is \"2379\", but has to be host:port with a port up to 65535.",
        "--listen-address=2379",
        OPS);
    refused(
        "--listen-address names the host \"a..b\", which is not known.",
        "--listen-address=a..b:1",
        OPS);
    refused(
        "--listen-address begins with \"ftp://\"; write host:port or unix:///path.",
        "--listen-address=ftp://x:1",
        OPS);
    refused(file + " is a file, not a unix socket.", "--listen-address=unix://" + file, OPS);
    refused(
        "No unix socket can be made at " + folder + "/none/socket.",
        "--listen-address=unix://" + folder + "/none/socket",
        OPS);
    refused(
        "--metrics-bind-address has to be host:port, or 0 for none.",
        PORT,
        "--metrics-bind-address=unix:///x");
    refused(
        "There is a certificate, but no private key for it.",
        PORT,
        OPS,
        "--server-cert-file=" + files.certificate());
    refused(
        "--trusted-ca-file needs --server-cert-file and --server-key-file.",
        PORT,
        OPS,
        "--trusted-ca-file=" + files.authority());
    refused(
        "An https:// listen address needs --server-cert-file and --server-key-file.",
        "--listen-address=https://127.0.0.1:0",
        OPS);
    refused(
        "Give --endpoint or --endpoint-file, not both.",
        PORT,
        OPS,
        "--endpoint=sqlite://",
        "--endpoint-file=" + file);
    refused(
        "The file " + file + " of --endpoint-file is empty.", PORT, OPS, "--endpoint-file=" + file);
    refused(
        "The file /none of --datastore-password-file cannot be read.",
        PORT,
        OPS,
        "--datastore-password-file=/none");
    refused(
        "The file "
            + file
            + " of --owner-file is something else than what a server writes there: name another, or"
            + " delete it.",
        PORT,
        OPS,
        "--owner-file=" + file,
        "--accept-store");
  }

  @Test
  void whatHasBeenStartedIsClosedAgain() throws Exception {
    stub.refusal = new IOException("Failed to bind", new IOException("Address already in use"));
    assertThatThrownBy(() -> start(PORT, OPS))
        .hasMessage("The address 127.0.0.1:0 is already in use.");
    assertThat(stub.store.closed).isTrue();
  }

  @Test
  void whatIsStoppedWhileItStartsLeavesNothingBehind() {
    stub.opening = () -> requireNonNull(server).close();
    assertThatThrownBy(() -> start(PORT, OPS))
        .hasMessage("The server was stopped before it had started.");
    assertThat(stub.steps).containsExactly("open");
    assertThat(stub.store.closed).isTrue();
  }

  @Test
  void startsAndStopsInOrder() throws Exception {
    RunningServer running = start(PORT, OPS, "--compact-interval=1h");
    InetSocketAddress ops = requireNonNull(running.opsAddress());
    assertThat(get(HttpClient.newHttpClient(), "http", ops, "/readyz")).isEqualTo("ok\n");
    assertThat(get(HttpClient.newHttpClient(), "http", ops, "/metrics"))
        .contains("etcd_debugging_mvcc_current_revision 1");
    running.close();
    running.close();
    assertThat(stub.steps).containsExactly("open", "serve", "close frontend, store open");
    assertThat(stub.store.closed).isTrue();
  }

  @Test
  void optionsArriveWhereTheyBelong() throws Exception {
    start(
        PORT,
        OPS,
        "--endpoint=sqlite:///data/x.db",
        "--max-request-bytes=1000",
        "--max-txn-ops=7",
        "--max-answer-bytes=12345",
        "--name=infra",
        "--advertise-client-urls=http://a:1,http://b:2",
        "--watch-progress-notify-interval=1m30s",
        "--compact-batch-size=11",
        "--slow-sql-threshold=250ms",
        "--datastore-max-open-connections=9");
    Parts.Settings settings = requireNonNull(stub.served);
    assertThat(settings.maxRequestBytes()).isEqualTo(1000);
    assertThat(settings.maxTxnOps()).isEqualTo(7);
    assertThat(settings.budget().capacity()).isEqualTo(12345);
    assertThat(settings.name()).isEqualTo("infra");
    assertThat(settings.clientUrls()).containsExactly("http://a:1", "http://b:2");
    assertThat(settings.progressInterval()).isEqualTo(Duration.ofSeconds(90));
    assertThat(settings.tls()).isNull();
    var options = requireNonNull(stub.opened);
    assertThat(options.endpoint()).isEqualTo(new Endpoint.Sqlite(Path.of("/data/x.db")));
    assertThat(options.compactionBatch()).isEqualTo(11);
    assertThat(options.slowQuery()).isEqualTo(Duration.ofMillis(250));
    assertThat(options.readers()).as("and the writer").isEqualTo(8);
  }

  @Test
  void environmentAndFilesAndNoPasswordInTheLog() throws Exception {
    Path password = Files.writeString(folder.resolve("password"), "geheim\n");
    Path endpoint = Files.writeString(folder.resolve("endpoint"), "postgres://u@h/db\n");
    List<String> sources = new ArrayList<>();
    for (Map<String, String> environment :
        List.of(
            Map.of("HARIKUBE_ENDPOINT", "postgres://u:geheim@h/db"),
            Map.of("KINE_ENDPOINT", "postgres://u:geheim@h/db"),
            Map.of(
                "HARIKUBE_ENDPOINT_FILE",
                endpoint.toString(),
                "HARIKUBE_DATASTORE_PASSWORD",
                "geheim"),
            Map.of(
                "HARIKUBE_ENDPOINT", "postgres://u:not-this@h/db",
                "KINE_ENDPOINT", "sqlite://",
                "HARIKUBE_DATASTORE_PASSWORD", "nor-this",
                "HARIKUBE_DATASTORE_PASSWORD_FILE", password.toString()),
            Map.of("HARIKUBE_ENDPOINT", "postgres://u@h/db", "PGPASSWORD", "geheim"))) {
      start(environment, PORT, OPS).close();
      Endpoint.Postgres opened = (Endpoint.Postgres) requireNonNull(stub.opened).endpoint();
      sources.add(opened.properties().getProperty("password"));
    }
    assertThat(sources).containsOnly("geheim");
    assertThat(log.list)
        .extracting(ILoggingEvent::getFormattedMessage)
        .hasSize(5)
        .allMatch(line -> line.contains("postgresql://h:5432/db at revision 1"))
        .noneMatch(line -> line.contains("geheim") || line.contains("this"));
  }

  @Test
  void withTlsMetricsHaveTlsToo() throws Exception {
    Files3 files = new Certificates().write(folder, "server");
    String[] arguments = {
      PORT,
      OPS,
      "--server-cert-file=" + files.certificate(),
      "--server-key-file=" + files.key(),
      "--trusted-ca-file=" + files.authority()
    };
    RunningServer running = start(arguments);
    assertThat(requireNonNull(stub.served).tls()).isNotNull();
    assertThat(requireNonNull(stub.served).clientUrls()).containsExactly("https://localhost:0");
    HttpClient client =
        HttpClient.newBuilder()
            .sslContext(PemFiles.read(null, null, files.authority()).context(null))
            .build();
    InetSocketAddress ops = requireNonNull(running.opsAddress());
    assertThat(get(client, "https", ops, "/livez")).isEqualTo("ok\n");
    running.close();

    String[] plain = java.util.Arrays.copyOf(arguments, arguments.length + 1);
    plain[arguments.length] = "--metrics-ignore-tls-config";
    ops = requireNonNull(start(plain).opsAddress());
    assertThat(get(client, "http", ops, "/livez")).isEqualTo("ok\n");
  }

  @Test
  void whoServesEverybodyIsTold() throws Exception {
    Files3 files = new Certificates().write(folder, "server");
    String certificate = "--server-cert-file=" + files.certificate();
    String key = "--server-key-file=" + files.key();
    start("--listen-address=0.0.0.0:0", OPS).close();
    start("--listen-address=:0", OPS, certificate, key).close();
    assertThat(log.list)
        .extracting(ILoggingEvent::getFormattedMessage)
        .filteredOn(line -> !line.contains("serves etcd"))
        .hasSize(2)
        .allMatch(line -> line.startsWith("Whoever reaches 0.0.0.0:0 can read and write"));
    log.list.clear();
    start(PORT, OPS).close();
    start("--listen-address=unix://" + folder.resolve("socket"), OPS).close();
    start(
            "--listen-address=0.0.0.0:0",
            OPS,
            certificate,
            key,
            "--trusted-ca-file=" + files.authority())
        .close();
    assertThat(log.list)
        .extracting(ILoggingEvent::getFormattedMessage)
        .allMatch(line -> line.contains("serves etcd"));
  }

  @Test
  void metricsCanBeTurnedOff() throws Exception {
    assertThat(start(PORT, "--metrics-bind-address=0").opsAddress()).isNull();
  }

  private static String get(HttpClient client, String scheme, InetSocketAddress at, String path)
      throws Exception {
    URI uri = URI.create(scheme + "://localhost:" + at.getPort() + path);
    return client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body();
  }
}
