package io.harikube.cli;

import io.harikube.tls.PemFiles;
import io.harikube.tls.TlsException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code harikube gc}. */
@Command(
    name = "gc",
    description = "What the garbage collection of a server is doing.",
    subcommands = GcCommand.StatusCommand.class,
    synopsisSubcommandLabel = "COMMAND")
final class GcCommand {

  /** {@code harikube gc status}: the metrics of a running server, in words. */
  @Command(
      name = "status",
      description = "Print what the garbage collection of a running server has done and has to do.",
      sortOptions = false)
  static final class StatusCommand implements Callable<Integer> {
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final Pattern METRIC =
        Pattern.compile(
            "harikube_gc_([a-z_]+?)(?:_total)?(?:\\{[^}]*})?"
                + " (NaN|[0-9]+(?:\\.[0-9]+)?(?:E[0-9]+)?)");

    @Option(
        names = "--url",
        paramLabel = "<url>",
        defaultValue = "http://127.0.0.1:8080",
        description = "Where the server has its metrics.")
    String url = "";

    @Option(
        names = "--cacert",
        paramLabel = "<file>",
        description = "Authorities that the server's certificate must lead to.")
    @Nullable Path authority;

    @Option(
        names = "--cert",
        paramLabel = "<file>",
        description = "Certificate to show to a server that asks for one.")
    @Nullable Path certificate;

    @Option(names = "--key", paramLabel = "<file>", description = "The key of --cert.")
    @Nullable Path key;

    @Spec CommandSpec spec = CommandSpec.create();

    @Override
    public Integer call() throws StartException, TlsException {
      Map<String, String> values = values(metrics());
      if (values.isEmpty()) {
        throw new StartException("What " + url + " serves are not the metrics of HariKube.");
      }
      values.forEach(
          (name, value) ->
              spec.commandLine().getOut().printf("%-20s %s%n", name.replace('_', ' '), value));
      return 0;
    }

    private List<String> metrics() throws StartException, TlsException {
      try (HttpClient client =
          HttpClient.newBuilder()
              .connectTimeout(PATIENCE)
              .sslContext(PemFiles.read(certificate, key, authority).context(null))
              .build()) {
        HttpResponse<String> response =
            client.send(
                HttpRequest.newBuilder(URI.create(url + "/metrics")).timeout(PATIENCE).build(),
                HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
          throw new StartException(url + " answers with the status " + response.statusCode() + ".");
        }
        return response.body().lines().toList();
      } catch (IOException | IllegalArgumentException e) {
        throw new StartException("There are no metrics at " + url + ": " + e + ".", e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new StartException("The request was given up.", e);
      }
    }

    private static Map<String, String> values(List<String> lines) {
      Map<String, String> values = new TreeMap<>();
      for (String line : lines) {
        Matcher metric = METRIC.matcher(line);
        if (metric.matches()) {
          double value = Double.parseDouble(metric.group(2));
          // The database has not said just now.
          values.put(metric.group(1), Double.isNaN(value) ? "unknown" : "%.0f".formatted(value));
        }
      }
      return values;
    }
  }
}
