package io.harikube.ops;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.harikube.store.Store;
import io.prometheus.metrics.expositionformats.ExpositionFormatWriter;
import io.prometheus.metrics.expositionformats.ExpositionFormats;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.zip.GZIPOutputStream;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;

/**
 * The HTTP server of operators: {@code /health}, {@code /livez}, {@code /readyz}, {@code /version}
 * and {@code /metrics}. It is bound when it is made, so that a busy port is known before anything
 * else has happened, and answers from {@link #start} on.
 *
 * <p>Requests have threads of the platform: the carriers of virtual ones may all be held by a
 * database in native code, just when somebody wants to know. Only what goes beyond some dozens at
 * once, connections on which nothing comes, gets virtual threads.
 */
public final class OpsServer implements AutoCloseable {
  private static final int THREADS = 32;
  private static final Duration DEADLINE = Duration.ofSeconds(5);
  private static final ExpositionFormats FORMATS = ExpositionFormats.init();
  private static final String VERSIONS =
      "{\"etcdserver\":\"%s\",\"etcdcluster\":\"%s\",\"storage\":\"%s\"}"
          .formatted(Version.ETCD, Version.CLUSTER, Version.CLUSTER);

  static {
    // The JDK's server waits without end for the rest of a request, unless it is told otherwise.
    for (String limit : List.of("maxReqTime", "maxRspTime")) {
      String property = "sun.net.httpserver." + limit;
      if (System.getProperty(property) == null) {
        System.setProperty(property, "30");
      }
    }
  }

  private final HttpServer server;
  private final ExecutorService surplus =
      Executors.newThreadPerTaskExecutor(Thread.ofVirtual().name("ops-surplus-", 0).factory());
  private final ExecutorService requests =
      new ThreadPoolExecutor(
          0,
          THREADS,
          30,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          Thread.ofPlatform().daemon().name("ops-", 0).factory(),
          (request, _) -> surplus.execute(request));

  private OpsServer(HttpServer server) {
    this.server = server;
    server.setExecutor(requests);
  }

  /**
   * Takes the address.
   *
   * @param tls null for plain HTTP
   */
  public static OpsServer bind(InetSocketAddress address, @Nullable SSLContext tls)
      throws IOException {
    if (tls == null) {
      return new OpsServer(HttpServer.create(address, 0));
    }
    HttpsServer server = HttpsServer.create(address, 0);
    server.setHttpsConfigurator(new HttpsConfigurator(tls));
    return new OpsServer(server);
  }

  /**
   * Begins to answer.
   *
   * @param alarms the names of etcd's alarms that are set
   */
  public void start(Store store, Metrics metrics, Supplier<List<String>> alarms) {
    start(new HealthPages(new Health(store, alarms, DEADLINE), metrics), metrics);
  }

  void start(HealthPages health, Metrics metrics) {
    server.createContext("/health", Http.get(exact("/health", health::health)));
    for (String kind : List.of("livez", "readyz")) {
      server.createContext("/" + kind, Http.get(exchange -> health.checks(exchange, kind)));
    }
    server.createContext("/version", Http.get(exact("/version", OpsServer::version)));
    SharedPage<Form> pages = new SharedPage<>(form -> page(form, metrics));
    server.createContext(
        "/metrics", Http.get(exact("/metrics", exchange -> metrics(exchange, pages))));
    server.createContext("/", Http.get(Http::notFound));
    server.start();
  }

  /** A context of the JDK's server takes every path that begins like its own. */
  private static com.sun.net.httpserver.HttpHandler exact(
      String path, com.sun.net.httpserver.HttpHandler page) {
    return exchange -> {
      if (exchange.getRequestURI().getPath().equals(path)) {
        page.handle(exchange);
      } else {
        Http.notFound(exchange);
      }
    };
  }

  private static void version(HttpExchange exchange) throws IOException {
    Http.answer(exchange, 200, "application/json", VERSIONS);
  }

  /** How a client takes the metrics. */
  private record Form(ExpositionFormatWriter writer, boolean gzip) {}

  private static void metrics(HttpExchange exchange, SharedPage<Form> pages) throws IOException {
    @Nullable String accept = exchange.getRequestHeaders().getFirst("Accept");
    ExpositionFormatWriter writer = FORMATS.findWriter(accept);
    if (!writer.isAvailable()) {
      // Who asks for protobuf takes text as well.
      writer = FORMATS.getPrometheusTextFormatWriter();
    }
    @Nullable String encodings = exchange.getRequestHeaders().getFirst("Accept-Encoding");
    Form form = new Form(writer, encodings != null && encodings.contains("gzip"));
    byte[] page;
    try {
      page = pages.get(form);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    }
    if (form.gzip) {
      exchange.getResponseHeaders().set("Content-Encoding", "gzip");
    }
    Http.answer(exchange, 200, writer.getContentType(), page);
  }

  private static byte[] page(Form form, Metrics metrics) throws IOException {
    ByteArrayOutputStream scrape = new ByteArrayOutputStream(64 << 10);
    form.writer.write(scrape, metrics.scrape());
    byte[] text = scrape.toByteArray();
    if (form.writer.getContentType().startsWith("text/plain")) {
      text = GoNumbers.rewrite(text);
    }
    if (!form.gzip) {
      return text;
    }
    ByteArrayOutputStream body = new ByteArrayOutputStream(text.length / 4);
    try (GZIPOutputStream gzip = new GZIPOutputStream(body)) {
      gzip.write(text);
    }
    return body.toByteArray();
  }

  public InetSocketAddress address() {
    return server.getAddress();
  }

  /** Answers no more, at once. */
  @Override
  public void close() {
    server.stop(0);
    requests.shutdownNow();
    surplus.shutdownNow();
  }
}
