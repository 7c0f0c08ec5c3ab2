package io.harikube.ops;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.MemoryBudget;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OpsServerTest {
  private final StubStore store = new StubStore();
  private final Metrics metrics = new Metrics();
  private final AtomicReference<List<String>> alarms = new AtomicReference<>(List.of());
  private final HttpClient client = HttpClient.newHttpClient();
  private OpsServer server;

  @TempDir Path folder;

  @BeforeEach
  void serve() throws IOException {
    server = OpsServer.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), null);
    Health health = new Health(store, alarms::get, Duration.ofMillis(300));
    server.start(new HealthPages(health, metrics), metrics);
    metrics.observe(store, folder, 0, new MemoryBudget(1000));
  }

  @AfterEach
  void stop() {
    server.close();
    client.close();
  }

  private HttpResponse<String> get(String path) throws Exception {
    return send(HttpRequest.newBuilder(uri(path)).build());
  }

  private HttpResponse<String> send(HttpRequest request) throws Exception {
    return client.send(request, BodyHandlers.ofString());
  }

  private URI uri(String path) {
    return URI.create("http://localhost:" + server.address().getPort() + path);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/health | 200 | {\"health\":\"true\",\"reason\":\"\"}",
        "/health?serializable=true | 200 | {\"health\":\"true\",\"reason\":\"\"}",
        "/livez | 200 | ok",
        "/livez?verbose | 200 | [+]serializable_read ok/ok",
        "/livez/serializable_read | 200 | ok",
        "/readyz | 200 | ok",
        "/readyz?verbose | 200 | [+]data_corruption ok/[+]serializable_read ok/"
            + "[+]linearizable_read ok/[+]write ok/[+]non_learner ok/ok",
        "/readyz?verbose&exclude=data_corruption&exclude=linearizable_read&exclude=none | 200"
            + " | [+]serializable_read ok/[+]write ok/[+]non_learner ok/ok",
        "/readyz/linearizable_read?verbose | 200 | [+]linearizable_read ok/ok",
        "/readyz/unknown | 404 | 404 page not found",
        "/livezz | 404 | 404 page not found",
        "/healthy | 404 | 404 page not found",
        "/ | 404 | 404 page not found",
        "/debug/pprof/ | 404 | 404 page not found",
        "/version | 200"
            + " | {\"etcdserver\":\"3.6.14\",\"etcdcluster\":\"3.6.0\",\"storage\":\"3.6.0\"}"
      })
  void pagesOfAHealthyServer(String path, int status, String body) throws Exception {
    HttpResponse<String> answer = get(path);
    assertThat(answer.body().strip().replace('\n', '/')).isEqualTo(body);
    assertThat(answer.statusCode()).isEqualTo(status);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "UNREACHABLE | /health | 503"
            + " | {\"health\":\"false\",\"reason\":\"RANGE ERROR:the database cannot be reached\"}",
        "UNREACHABLE | /livez | 200 | ok",
        "UNREACHABLE | /readyz/serializable_read | 503"
            + " | [-]serializable_read failed: the database cannot be reached",
        "WRITER_HANGS | /livez | 200 | ok",
        "WRITER_HANGS | /health?serializable=true | 200 | {\"health\":\"true\",\"reason\":\"\"}",
        "WRITER_HANGS | /readyz?exclude=data_corruption | 503 | [+]serializable_read ok/"
            + "[+]linearizable_read ok/[-]write failed: the store did not answer within 300 ms/"
            + "[+]non_learner ok",
        "READ_ONLY | /livez | 200 | ok",
        "READ_ONLY | /readyz/linearizable_read | 200 | ok",
        "READ_ONLY | /readyz/write | 503 | [-]write failed: the database is read-only",
        "READ_ONLY | /health | 503"
            + " | {\"health\":\"false\",\"reason\":\"RANGE ERROR:the database is read-only\"}",
        "BEHIND | /readyz/serializable_read | 200 | ok",
        "BEHIND | /readyz/linearizable_read | 503 | [-]linearizable_read failed:"
            + " the database is behind what it had acknowledged",
        "HANGS | /livez | 200 | ok",
        "HANGS | /health | 503 | {\"health\":\"false\",\"reason\":"
            + "\"RANGE ERROR:the store did not answer within 300 ms\"}"
      })
  void pagesOfABrokenServer(StubStore.Mood mood, String path, int status, String body)
      throws Exception {
    store.mood = mood;
    HttpResponse<String> answer = get(path);
    assertThat(answer.body().strip().replace('\n', '/')).isEqualTo(body);
    assertThat(answer.statusCode()).isEqualTo(status);
  }

  @Test
  void aServerThatHasLostItsDatabaseForGoodIsNotAlive() throws Exception {
    store.ended.complete("another server has taken the database over");
    HttpResponse<String> answer = get("/livez");
    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body())
        .startsWith("[-]serializable_read failed: another server has taken the database over\n");
  }

  @Test
  void aDatabaseThatHangsIsAskedOnceHoweverManyWantToKnow() throws Exception {
    store.mood = StubStore.Mood.HANGS;
    for (int i = 0; i < 3; i++) {
      assertThat(get("/readyz").statusCode()).isEqualTo(503);
      assertThat(get("/metrics").statusCode()).isEqualTo(200);
    }
    assertThat(store.probes).as("writes").hasValue(1);
    assertThat(store.statusCalls).as("reads for health and for metrics").hasValue(2);
  }

  @Test
  void whoAsksWhileTheDatabaseIsKnownToHangIsToldSoAtOnce() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    Duration patience = Duration.ofSeconds(2);
    Question<Boolean> question =
        new Question<>("test", patience, () -> never.await(60, TimeUnit.SECONDS));
    assertThatThrownBy(question::ask).isInstanceOf(TimeoutException.class);
    long begin = System.nanoTime();
    assertThatThrownBy(question::ask).isInstanceOf(TimeoutException.class);
    assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(patience);
    never.countDown();
  }

  @Test
  void healthIsAnsweredWhileNoVirtualThreadIs() throws Exception {
    CountDownLatch over = new CountDownLatch(1);
    int carriers = Runtime.getRuntime().availableProcessors() + 1;
    CountDownLatch held = new CountDownLatch(Runtime.getRuntime().availableProcessors());
    for (int i = 0; i < carriers; i++) {
      // As a read of SQLite does on a disk that hangs, it holds its carrier.
      Thread.startVirtualThread(
          () -> {
            held.countDown();
            while (over.getCount() > 0) {
              Thread.onSpinWait();
            }
          });
    }
    try {
      held.await();
      for (String path : List.of("/livez", "/readyz", "/health", "/metrics")) {
        // Not the JDK's client, which has virtual threads of its own.
        assertThat(plainStatus(path)).as(path).isEqualTo("HTTP/1.1 200 OK");
      }
    } finally {
      over.countDown();
    }
  }

  @Test
  void connectionsOnWhichNothingComesHoldNobodyUp() throws Exception {
    List<Socket> silent = new ArrayList<>();
    try {
      for (int i = 0; i < 200; i++) {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.address().getPort());
        silent.add(socket);
        socket.getOutputStream().write("GET /livez HT".getBytes(US_ASCII));
      }
      assertThat(plainStatus("/livez")).isEqualTo("HTTP/1.1 200 OK");
    } finally {
      for (Socket socket : silent) {
        socket.close();
      }
    }
  }

  private String plainStatus(String path) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.address().getPort())) {
      socket.setSoTimeout(10_000);
      socket.getOutputStream().write(("GET " + path + " HTTP/1.0\r\n\r\n").getBytes(US_ASCII));
      return new BufferedReader(new InputStreamReader(socket.getInputStream(), US_ASCII))
          .readLine();
    }
  }

  @Test
  void alarms() throws Exception {
    alarms.set(List.of("NOSPACE", "CORRUPT"));
    assertThat(get("/health").body()).contains("\"reason\":\"ALARM NOSPACE\"");
    assertThat(get("/health?exclude=NOSPACE").body()).contains("\"reason\":\"ALARM CORRUPT\"");
    assertThat(get("/health?exclude=NOSPACE&exclude=CORRUPT").statusCode()).isEqualTo(200);
    assertThat(get("/readyz").body()).contains("[-]data_corruption failed: alarm activated");
  }

  @Test
  void onlyGet() throws Exception {
    for (String path : List.of("/health", "/livez", "/readyz", "/version", "/metrics")) {
      HttpResponse<String> answer =
          send(HttpRequest.newBuilder(uri(path)).POST(BodyPublishers.noBody()).build());
      assertThat(answer.statusCode()).as(path).isEqualTo(405);
      assertThat(answer.headers().firstValue("Allow")).contains("GET");
    }
  }

  @Test
  void metricsOfTheStore() throws Exception {
    store.revision = 42;
    HttpResponse<String> answer = get("/metrics");
    assertThat(answer.headers().firstValue("Content-Type").orElse(""))
        .startsWith("text/plain; version=0.0.4");
    assertThat(answer.body().lines())
        .contains(
            "etcd_server_has_leader 1",
            "etcd_server_leader_changes_seen_total 1",
            "etcd_server_id{server_id=\"ab\"} 1",
            "etcd_server_version{server_version=\"3.6.14\"} 1",
            "etcd_debugging_mvcc_current_revision 42",
            "etcd_mvcc_db_total_size_in_bytes 4096",
            "etcd_mvcc_db_total_size_in_use_in_bytes 1024",
            "etcd_server_proposals_committed_total 7",
            "harikube_gc_ready 2",
            "harikube_gc_waiting 1",
            "harikube_answers_memory_capacity_bytes 1000");
    assertThat(store.statusCalls).as("questions to the database").hasValue(1);

    store.mood = StubStore.Mood.UNREACHABLE;
    assertThat(get("/metrics").body().lines())
        .contains("etcd_server_has_leader 0", "etcd_mvcc_db_total_size_in_bytes 4096")
        .as("an old number of tasks")
        .contains("harikube_gc_ready NaN", "harikube_gc_waiting NaN");
    // Nobody waits for one that does not answer, nor again for it.
    store.mood = StubStore.Mood.HANGS;
    for (int i = 0; i < 2; i++) {
      assertThat(get("/metrics").body().lines())
          .contains("etcd_server_has_leader 0", "harikube_gc_ready NaN", "harikube_gc_waiting NaN");
    }
  }

  @Test
  void aMetricThatCannotBeReadLosesNoOther() throws Exception {
    metrics.level(
        Metric.WATCHERS,
        () -> {
          throw new IllegalStateException("broken");
        });
    assertThat(get("/metrics").body())
        .contains("etcd_debugging_mvcc_current_revision 1\n")
        .doesNotContain("etcd_debugging_mvcc_watcher_total ");
  }

  @Test
  void whoAsksForProtobufGetsText() throws Exception {
    HttpResponse<String> answer =
        send(
            HttpRequest.newBuilder(uri("/metrics"))
                .header(
                    "Accept",
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                        + "encoding=delimited,text/plain;q=0.2")
                .build());
    assertThat(answer.headers().firstValue("Content-Type").orElse("")).startsWith("text/plain");
    assertThat(answer.body()).contains("etcd_server_has_leader 1\n");
  }

  @Test
  void metricsAreCompressedIfAsked() throws Exception {
    HttpResponse<byte[]> answer =
        client.send(
            HttpRequest.newBuilder(uri("/metrics")).header("Accept-Encoding", "gzip").build(),
            BodyHandlers.ofByteArray());
    assertThat(answer.headers().firstValue("Content-Encoding")).contains("gzip");
    assertThat(answer.body()).startsWith(0x1f, 0x8b);
  }
}
