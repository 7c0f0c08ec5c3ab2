package io.harikube.testing;

import io.harikube.sql.Endpoint;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A pgbouncer in front of a server, which hands out a connection for each transaction. */
public final class TestPooler implements AutoCloseable {
  private static final Path PROGRAM = Path.of("/usr/sbin/pgbouncer");
  private final Path folder;
  private final int port;
  private final Process process;

  private TestPooler(TestPostgres server) throws IOException {
    Unprivileged user = Unprivileged.get();
    folder = Files.createTempDirectory("harikube-pooler-");
    user.own(folder);
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    Path settings =
        Files.writeString(
            folder.resolve("pgbouncer.ini"),
            """
            [databases]
            * = host=127.0.0.1 port=%d user=postgres
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = %d
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            """
                .formatted(server.port(), port));
    user.own(settings);
    process =
        new ProcessBuilder(user.command(List.of(PROGRAM.toString(), settings.toString())))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("log").toFile())
            .start();
    Await.until("the pooler", this::answers);
  }

  /** Starts one; empty if Debian's package pgbouncer is not installed. */
  public static Optional<TestPooler> launch(TestPostgres server) throws IOException {
    if (!Files.isExecutable(PROGRAM)) {
      System.err.println("pgbouncer is not tested: " + PROGRAM + " is not installed");
      return Optional.empty();
    }
    return Optional.of(new TestPooler(server));
  }

  private boolean answers() {
    try (Socket _ = new Socket(InetAddress.getLoopbackAddress(), port)) {
      return true;
    } catch (IOException e) {
      if (!process.isAlive()) {
        throw new AssertionError("the pooler has ended: " + log());
      }
      return false;
    }
  }

  private String log() {
    try {
      return Files.readString(folder.resolve("log"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The way to a database by the pooler. */
  public Endpoint.Postgres endpoint(Endpoint.Postgres direct) {
    return new Endpoint.Postgres(
        "jdbc:postgresql://127.0.0.1:" + port + "/" + direct.database(),
        direct.database(),
        direct.properties());
  }

  @Override
  public void close() {
    process.destroyForcibly();
    Await.until("the end of the pooler", () -> !process.isAlive());
    try {
      Folders.delete(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
