package io.harikube.ops;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What all pages of {@link OpsServer} share. */
final class Http {
  private static final Logger LOG = LoggerFactory.getLogger(Http.class);

  /** In bytes. */
  private static final int PIECE = 8 << 10;

  private Http() {}

  /** Lets only GET through, as etcd does, and answers for pages that fail. */
  static HttpHandler get(HttpHandler page) {
    return exchange -> {
      try (exchange) {
        if (exchange.getRequestMethod().equals("GET")) {
          page.handle(exchange);
        } else {
          exchange.getResponseHeaders().set("Allow", "GET");
          answer(exchange, 405, "text/plain; charset=utf-8", "Method Not Allowed\n");
        }
      } catch (IOException e) {
        LOG.debug("{}: the client is gone", exchange.getRequestURI(), e);
      } catch (RuntimeException e) {
        LOG.warn("{} failed", exchange.getRequestURI(), e);
        throw e;
      }
    };
  }

  static void answer(HttpExchange exchange, int status, String type, String text)
      throws IOException {
    answer(exchange, status, type, text.getBytes(StandardCharsets.UTF_8));
  }

  static void answer(HttpExchange exchange, int status, String type, byte[] body)
      throws IOException {
    exchange.getResponseHeaders().set("Content-Type", type);
    exchange.getResponseHeaders().set("X-Content-Type-Options", "nosniff");
    exchange.sendResponseHeaders(status, body.length);
    // The JDK's server keeps a copy of the largest piece for as long as the connection is open.
    for (int from = 0; from < body.length; from += PIECE) {
      exchange.getResponseBody().write(body, from, Math.min(PIECE, body.length - from));
    }
  }

  static void notFound(HttpExchange exchange) throws IOException {
    answer(exchange, 404, "text/plain; charset=utf-8", "404 page not found\n");
  }
}
