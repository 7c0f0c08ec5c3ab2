package io.harikube.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.harikube.sql.Endpoint;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A real PostgreSQL server for tests, with a collation that is not C, so that a comparison which
 * lets a collation take part shows.
 *
 * <p>It dies with this process, however that ends: a shell watches it, which reads from a pipe that
 * only this process holds open. Not safe for use by several threads, but for {@link #newDatabase}.
 */
public final class TestPostgres implements AutoCloseable {
  private static final int START_ATTEMPTS = 5;
  private static final AtomicInteger DATABASES = new AtomicInteger();

  private static @Nullable TestPostgres shared;

  private final Unprivileged user;
  private final Path bin;
  private final Path data;
  private int port;
  private @Nullable PostgresProcess process;

  /** A database of the server. */
  public record Database(Endpoint.Postgres endpoint, String url) {}

  private TestPostgres(Unprivileged user, Path bin) throws IOException {
    this.user = user;
    this.bin = bin;
    data = Files.createTempDirectory("harikube-postgres-");
    user.own(data);
  }

  /** The server of this test run, which stops when the run ends. */
  public static synchronized TestPostgres shared() {
    TestPostgres server = shared;
    if (server == null) {
      server = launch();
      Runtime.getRuntime().addShutdownHook(new Thread(server::close));
      shared = server;
    }
    return server;
  }

  /** Starts a server of its own. */
  public static TestPostgres launch() {
    try {
      Unprivileged user = Unprivileged.get();
      return launch(user, PostgresBinaries.bin(user));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Starts a server of its own from the Debian packages; empty if they are not installed. */
  public static Optional<TestPostgres> launchDebian() {
    Path bin;
    try {
      bin = PostgresBinaries.debian();
    } catch (IOException e) {
      System.err.println("Debian's PostgreSQL is not tested: " + e.getMessage());
      return Optional.empty();
    }
    try {
      return Optional.of(launch(Unprivileged.get(), bin));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static TestPostgres launch(Unprivileged user, Path bin) {
    try {
      TestPostgres server = new TestPostgres(user, bin);
      server.initialize();
      for (int attempt = 1; ; attempt++) {
        server.port = freePort();
        try {
          server.start();
          return server;
        } catch (IOException e) {
          if (attempt == START_ATTEMPTS || !String.valueOf(e.getMessage()).contains("in use")) {
            try {
              server.close();
            } catch (UncheckedIOException suppressed) {
              e.addSuppressed(suppressed);
            }
            throw e;
          }
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Below the ports that the kernel gives to clients, so that it is still free after a crash. */
  private static int freePort() throws IOException {
    while (true) {
      int candidate = ThreadLocalRandom.current().nextInt(20_000, 30_000);
      try (ServerSocket _ = new ServerSocket(candidate, 1, InetAddress.getLoopbackAddress())) {
        return candidate;
      } catch (IOException e) {
        if (!String.valueOf(e.getMessage()).contains("in use")) {
          throw e;
        }
      }
    }
  }

  private void initialize() throws IOException {
    List<String> command =
        user.command(
            List.of(
                bin.resolve("initdb").toString(),
                "--pgdata=" + data,
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--locale-provider=icu",
                "--icu-locale=en-US",
                "--no-sync",
                "--no-instructions"));
    Process initdb =
        new ProcessBuilder(command).directory(data.toFile()).redirectErrorStream(true).start();
    try (InputStream output = initdb.getInputStream()) {
      initdb.getOutputStream().close();
      String text = new String(output.readAllBytes(), UTF_8);
      if (initdb.waitFor() != 0) {
        throw new IOException("initdb failed: " + text);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** Starts the server again, on the same port and data, after {@link #kill9}. */
  public void start() throws IOException {
    process =
        PostgresProcess.start(
            user,
            data,
            List.of(
                bin.resolve("postgres").toString(),
                "-D",
                data.toString(),
                "-p",
                Integer.toString(port),
                "-h",
                "127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "max_connections=100",
                "-c",
                "fsync=on",
                "-c",
                "dynamic_shared_memory_type=mmap"));
    awaitReady(process);
  }

  private void awaitReady(PostgresProcess started) throws IOException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (true) {
      try (Connection _ = connect("postgres")) {
        return;
      } catch (SQLException e) {
        if (!started.isAlive() || System.nanoTime() - deadline > 0) {
          throw new IOException("PostgreSQL does not start: " + started.logText(), e);
        }
      }
      Await.pause();
    }
  }

  /** A crash: kills the server and all of its processes at once. */
  public void kill9() throws IOException {
    PostgresProcess running = process;
    if (running != null) {
      process = null;
      running.kill9();
    }
  }

  /** Starts the server again, as a standby that gets nothing from any primary. */
  public void becomeStandby() throws IOException {
    PostgresProcess running = process;
    if (running != null) {
      process = null;
      running.halt();
    }
    Path signal = Files.createFile(data.resolve("standby.signal"));
    user.own(signal);
    start();
  }

  public int port() {
    return port;
  }

  /** The database {@code postgres}, for clients that are not written in Java. */
  public String url() {
    return url("postgres");
  }

  private String url(String database) {
    return "postgres://postgres@127.0.0.1:" + port + "/" + database;
  }

  /** A connection to one of the databases. */
  public Connection connect(String database) throws SQLException {
    return DriverManager.getConnection(jdbcUrl(database), properties());
  }

  private String jdbcUrl(String database) {
    return "jdbc:postgresql://127.0.0.1:" + port + "/" + database;
  }

  private static Properties properties() {
    Properties properties = new Properties();
    properties.setProperty("user", "postgres");
    return properties;
  }

  /** An empty database that nobody else uses. */
  public Database newDatabase() {
    Database database = absentDatabase();
    execute("CREATE DATABASE " + database.endpoint().database());
    return database;
  }

  /** A database that nobody else uses, and that the server does not have yet. */
  public Database absentDatabase() {
    String name = "test_" + DATABASES.incrementAndGet();
    return new Database(new Endpoint.Postgres(jdbcUrl(name), name, properties()), url(name));
  }

  /** Drops a database with whoever is connected to it. */
  public void drop(Database database) {
    execute("DROP DATABASE IF EXISTS " + database.endpoint().database() + " WITH (FORCE)");
  }

  private void execute(String sql) {
    try (Connection connection = connect("postgres");
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new AssertionError(sql, e);
    }
  }

  /** Stops the server and deletes its data. */
  @Override
  public void close() {
    try {
      PostgresProcess running = process;
      if (running != null) {
        process = null;
        running.stop();
      }
      Folders.delete(data);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Prints the address of a server as its first line, and stops it when its input ends. For each
   * line {@code crash} it kills the server, starts it again, and answers {@code ready}.
   */
  public static void main(String[] args) throws IOException {
    try (TestPostgres server = shared();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, UTF_8))) {
      say(server.url());
      for (String line = input.readLine(); line != null; line = input.readLine()) {
        if (line.equals("crash")) {
          server.kill9();
          server.start();
          say("ready");
        }
      }
    }
  }

  private static void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
