package io.harikube.ops;

import com.sun.net.httpserver.HttpExchange;
import io.harikube.ops.Health.Check;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code /health}, {@code /livez} and {@code /readyz} in the words of etcd 3.6, and {@code
 * /livez/check}, {@code /readyz/check} for each check alone.
 */
final class HealthPages {
  private static final Logger LOG = LoggerFactory.getLogger(HealthPages.class);

  private final Health health;
  private final Metrics metrics;

  HealthPages(Health health, Metrics metrics) {
    this.health = health;
    this.metrics = metrics;
    for (String kind : List.of("livez", "readyz")) {
      for (String name : checks(kind).keySet()) {
        metrics.counter(Metric.HEALTHCHECKS, kind, name, "success");
        metrics.counter(Metric.HEALTHCHECKS, kind, name, "error");
      }
    }
  }

  private Map<String, Check> checks(String kind) {
    return kind.equals("livez") ? health.live() : health.ready();
  }

  void health(HttpExchange exchange) throws IOException {
    Map<String, Set<String>> query = query(exchange);
    boolean serializable = query.getOrDefault("serializable", Set.of()).contains("true");
    String failure = health.failure(query.getOrDefault("exclude", Set.of()), serializable);
    boolean healthy = failure == null;
    metrics.gauge(healthy ? Metric.HEALTH_SUCCESS : Metric.HEALTH_FAILURES).inc();
    String body =
        "{\"health\":\"%s\",\"reason\":\"%s\"}".formatted(healthy, healthy ? "" : json(failure));
    if (healthy) {
      Http.answer(exchange, 200, "text/plain; charset=utf-8", body);
    } else {
      LOG.warn("/health: {}", failure);
      Http.answer(exchange, 503, "text/plain; charset=utf-8", body + "\n");
    }
  }

  /** {@code /livez} or {@code /readyz}, or one check of them. */
  void checks(HttpExchange exchange, String kind) throws IOException {
    Map<String, Set<String>> query = query(exchange);
    Map<String, Check> checks = new LinkedHashMap<>(checks(kind));
    String path = exchange.getRequestURI().getPath();
    if (path.equals("/" + kind)) {
      checks.keySet().removeAll(query.getOrDefault("exclude", Set.of()));
    } else {
      checks.keySet().retainAll(Set.of(path.substring(kind.length() + 2)));
      if (checks.isEmpty()) {
        Http.notFound(exchange);
        return;
      }
    }
    StringBuilder text = new StringBuilder();
    boolean healthy = true;
    for (Map.Entry<String, Check> check : checks.entrySet()) {
      String name = check.getKey();
      String failure = check.getValue().failure();
      healthy &= failure == null;
      text.append(
          failure == null ? "[+]" + name + " ok\n" : "[-]" + name + " failed: " + failure + "\n");
      metrics.gauge(Metric.HEALTHCHECK, kind, name).set(failure == null ? 1 : 0);
      metrics.counter(Metric.HEALTHCHECKS, kind, name, failure == null ? "success" : "error").inc();
    }
    if (!healthy) {
      LOG.warn("/{}: {}", kind, text.toString().strip().replace('\n', ' '));
      Http.answer(exchange, 503, "text/plain; charset=utf-8", text + "\n");
    } else {
      String shown = query.containsKey("verbose") ? text + "ok\n" : "ok\n";
      Http.answer(exchange, 200, "text/plain; charset=utf-8", shown);
    }
  }

  private static Map<String, Set<String>> query(HttpExchange exchange) {
    Map<String, Set<String>> query = new LinkedHashMap<>();
    String raw = exchange.getRequestURI().getRawQuery();
    for (String pair : raw == null ? new String[0] : raw.split("&", -1)) {
      int equals = pair.indexOf('=');
      String name = equals < 0 ? pair : pair.substring(0, equals);
      String value =
          equals < 0 ? "" : URLDecoder.decode(pair.substring(equals + 1), StandardCharsets.UTF_8);
      query.computeIfAbsent(name, key -> new HashSet<>()).add(value);
    }
    return query;
  }

  private static String json(@Nullable String text) {
    StringBuilder json = new StringBuilder();
    String.valueOf(text)
        .chars()
        .forEach(
            c -> {
              if (c == '"' || c == '\\') {
                json.append('\\').append((char) c);
              } else if (c < ' ') {
                json.append("\\u%04x".formatted(c));
              } else {
                json.append((char) c);
              }
            });
    return json.toString();
  }
}
