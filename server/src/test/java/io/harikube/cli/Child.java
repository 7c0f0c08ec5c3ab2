package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A server in a process of its own. */
final class Child implements AutoCloseable {
  private static final Pattern STARTED =
      Pattern.compile(".* \\(port (\\d+)\\).* health on 127\\.0\\.0\\.1:(\\d+);.*");

  private final Process process;
  private final BufferedReader err;
  private final ManagedChannel channel;
  private final int ops;

  /** Waits until it serves. */
  Child(String... options) throws IOException {
    this(Path.of(System.getProperty("java.io.tmpdir")), options);
  }

  /**
   * Waits until it serves.
   *
   * @param temporary its folder for temporary files
   */
  Child(Path temporary, String... options) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "server", "--listen-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0"));
    arguments.addAll(List.of(options));
    process = start(temporary, Main.class, arguments.toArray(new String[0]));
    err = process.errorReader();
    List<String> before = new ArrayList<>();
    String line = err.readLine();
    Matcher started = STARTED.matcher(String.valueOf(line));
    while (line != null && !started.matches()) {
      before.add(line);
      line = err.readLine();
      started = STARTED.matcher(String.valueOf(line));
    }
    if (line == null) {
      process.destroyForcibly();
      throw new IOException("not started: " + before);
    }
    channel =
        NettyChannelBuilder.forAddress("127.0.0.1", Integer.parseInt(started.group(1)))
            .usePlaintext()
            .build();
    ops = Integer.parseInt(started.group(2));
  }

  static Process start(Class<?> main, String... arguments) throws IOException {
    return start(Path.of(System.getProperty("java.io.tmpdir")), main, arguments);
  }

  private static Process start(Path temporary, Class<?> main, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-XX:TieredStopAtLevel=1",
            "-Xmx256m",
            "-Djava.io.tmpdir=" + temporary,
            "-cp"));
    command.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.add(main.getName());
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).start();
  }

  /** What a process that ends by itself says on stderr, after which it ended with {@code code}. */
  static List<String> refused(int code, String... arguments) throws Exception {
    Process process = start(Main.class, arguments);
    List<String> lines = process.errorReader().lines().toList();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(lines.toString()).isEqualTo(code);
    return lines;
  }

  ManagedChannel channel() {
    return channel;
  }

  /** Where its metrics are. */
  String url() {
    return "http://127.0.0.1:" + ops;
  }

  String get(String path) throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      URI uri = URI.create(url() + path);
      return client.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body();
    }
  }

  /** Asks it to end, and gives what it says then. */
  List<String> stop() throws Exception {
    channel.shutdownNow();
    process.toHandle().destroy();
    List<String> lines = err.lines().toList();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(lines.toString()).isZero();
    return lines;
  }

  /** Waits until it ends by itself; its exit code. */
  int ended() throws InterruptedException {
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return process.exitValue();
  }

  /** Kills it, and waits until it is gone. */
  void kill9() throws InterruptedException {
    process.destroyForcibly();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
  }

  @Override
  public void close() {
    channel.shutdownNow();
    process.destroyForcibly();
  }
}
