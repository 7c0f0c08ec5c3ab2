package io.harikube.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.MemoryBudget;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
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
  private final AtomicReference<Instant> now = new AtomicReference<>(Instant.EPOCH);
  private final HttpClient client = HttpClient.newHttpClient();
  private OpsServer server;

  @TempDir Path folder;

  @BeforeEach
  void serve() throws IOException {
    server = OpsServer.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), null);
    Health health = new Health(store, alarms::get, Duration.ofMillis(300));
    server.start(new HealthPages(health, metrics), metrics);
    metrics.observe(store, folder, 0, new MemoryBudget(1000), now::get);
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
            + "[+]linearizable_read ok/[+]non_learner ok/ok",
        "/readyz?verbose&exclude=data_corruption&exclude=linearizable_read&exclude=none | 200"
            + " | [+]serializable_read ok/[+]non_learner ok/ok",
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
            + "[-]linearizable_read failed: the store did not answer within 300 ms/"
            + "[+]non_learner ok",
        "HANGS | /livez | 503"
            + " | [-]serializable_read failed: the store did not answer within 300 ms",
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
            "harikube_answers_memory_capacity_bytes 1000");
    assertThat(store.statusCalls).as("questions to the database").hasValue(1);

    store.mood = StubStore.Mood.UNREACHABLE;
    assertThat(get("/metrics").body().lines())
        .contains("etcd_server_has_leader 0", "etcd_mvcc_db_total_size_in_bytes 4096");
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
