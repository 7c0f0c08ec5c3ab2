package io.harikube.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Somebody with a shell, kubectl, vcluster, helm, etcdctl and harikube, and a home that nobody else
 * uses.
 */
public final class User implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(User.class);
  private static final Duration TO_CONNECT = Duration.ofMinutes(6);

  private final Path home;
  private final Map<String, String> environment = new LinkedHashMap<>();
  private final String host;
  private Path folder;
  private @Nullable Process connection;

  /** Gives somebody a home with a kubeconfig for the cluster. */
  public User(Cluster cluster, Path home) {
    this.home = home;
    Folders.empty(home);
    folder = home;
    try {
      Path programs = Files.createDirectories(home.resolve("bin"));
      for (String name : List.of("kubectl", "etcdctl", "harikube")) {
        Files.createSymbolicLink(programs.resolve(name), Path.of(Artifacts.program(name)));
      }
      Files.createSymbolicLink(programs.resolve("vcluster"), Path.of(Artifacts.vcluster()));
      Files.createSymbolicLink(programs.resolve("helm"), Path.of(Artifacts.helm()));
      // Where Docker runs, vcluster would pull an image for its port-forward.
      Files.createSymbolicLink(programs.resolve("docker"), Path.of("/bin/false"));
      Files.createDirectories(home.resolve(".vcluster"));
      Files.writeString(home.resolve(".vcluster/config.json"), "{\"telemetryDisabled\": true}");
      Path kubeconfig = home.resolve("kubeconfig");
      environment.put("HOME", home.toString());
      environment.put("PATH", programs + ":" + System.getenv("PATH"));
      environment.put("KUBECONFIG", kubeconfig.toString());
      environment.put("KUBERC", "off");
      environment.put("VCLUSTER_SKIP_VERSION_CHECK", "true");
      Files.writeString(
          kubeconfig,
          Commands.run(
              Artifacts.program("kubectl"),
              "--kubeconfig=" + cluster.kubeconfig(),
              "config",
              "view",
              "--raw",
              "--flatten"));
      host = kubectl("config", "current-context").strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Sets a variable of the shell. */
  public void set(String variable, String value) {
    environment.put(variable, value);
  }

  /** Where the user's files are. */
  public Path home() {
    return home;
  }

  /** The folder that the shell is in. */
  public Path folder() {
    return folder;
  }

  /**
   * Types something into a shell, which must go well; what it says. The shell is left in the folder
   * that it ends in.
   *
   * @throws IllegalStateException if a command fails
   */
  public String types(String typed) {
    Commands.Result result = Commands.result(shell(typed));
    log.info("$ {}\n{}", typed.strip().replace("\n", "\n$ "), result.output());
    String said = result.mustSucceed();
    try {
      folder = Path.of(Files.readString(home.resolve("folder")).strip());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return said;
  }

  private ProcessBuilder shell(String typed) {
    ProcessBuilder builder =
        new ProcessBuilder(
            "bash", "-euo", "pipefail", "-c", typed + "\npwd >" + home.resolve("folder"));
    builder.directory(folder.toFile()).environment().putAll(environment);
    return builder;
  }

  /**
   * Types what ends with `vcluster connect`, which stays in the foreground without Docker, and goes
   * on in another shell when kubectl speaks to the virtual cluster.
   */
  public void connects(String typed) {
    if (!typed.strip().lines().toList().getLast().startsWith("vcluster connect ")) {
      throw new IllegalArgumentException("it does not end with vcluster connect: " + typed);
    }
    disconnects();
    Path said = home.resolve("connect.log");
    log.info("$ {}", typed.strip().replace("\n", "\n$ "));
    try {
      Process process =
          shell(typed).redirectErrorStream(true).redirectOutput(said.toFile()).start();
      connection = process;
      Await.until(
          "vcluster has connected; see " + said,
          TO_CONNECT,
          () -> !process.isAlive() || !kubectl("config", "current-context").strip().equals(host));
      if (!process.isAlive()) {
        throw new IllegalStateException(
            "vcluster connect has ended: " + Files.readString(said, UTF_8));
      }
      Await.until(
          "the virtual cluster answers",
          TO_CONNECT,
          () -> "ok".equals(kubectl("get", "--raw", "/readyz")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Types what ends with a port-forward, which stays in the foreground, and goes on in another
   * shell when the port is open. When that is done, Ctrl-C.
   */
  public void forwards(String typed, int port, Runnable then) {
    Path said = home.resolve("forward-" + port + ".log");
    log.info("$ {}", typed.strip().replace("\n", "\n$ "));
    try {
      Process process =
          shell(typed).redirectErrorStream(true).redirectOutput(said.toFile()).start();
      try {
        Await.until(
            "the port " + port + " is forwarded; see " + said,
            TO_CONNECT,
            () -> {
              if (process.isAlive()) {
                new Socket(InetAddress.getLoopbackAddress(), port).close();
              }
              return true;
            });
        if (!process.isAlive()) {
          throw new IllegalStateException("it has ended: " + Files.readString(said, UTF_8));
        }
        then.run();
      } finally {
        end(process);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void end(Process process) {
    process.descendants().forEach(ProcessHandle::destroy);
    process.destroy();
  }

  /** Ends `vcluster connect`, if it runs, and makes the host the current cluster again. */
  public void disconnects() {
    Process process = connection;
    if (process != null) {
      end(process);
      connection = null;
      kubectl("config", "use-context", host);
    }
  }

  /** Runs kubectl, which must succeed, on the current cluster. */
  public String kubectl(String... arguments) {
    return tries(arguments).mustSucceed();
  }

  /** Runs kubectl on the host, whatever the current cluster. */
  public String onHost(String... arguments) {
    List<String> all = new ArrayList<>(List.of("--context", Objects.requireNonNull(host)));
    Collections.addAll(all, arguments);
    return kubectl(all.toArray(new String[0]));
  }

  /** Runs kubectl, which may fail. */
  Commands.Result tries(String... arguments) {
    List<String> command = new ArrayList<>(List.of(Artifacts.program("kubectl")));
    Collections.addAll(command, arguments);
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().putAll(environment);
    return Commands.result(builder);
  }

  @Override
  public void close() {
    disconnects();
  }
}
