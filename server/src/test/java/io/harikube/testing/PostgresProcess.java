package io.harikube.testing;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The processes of a PostgreSQL server: a shell, its child the postmaster, and that one's children.
 *
 * <p>When the shell's input ends, because this process says so or is no more, the shell shuts the
 * postmaster down without ceremony and deletes the data, unless the last it was told was to keep
 * them. It ignores the signals of a terminal, so that it is the last to go. It insists, because a
 * signal that comes before the postmaster has set itself up for signals is lost.
 */
final class PostgresProcess {
  private static final String LOG = "server.log";
  private static final String WATCH =
      """
      trap '' HUP INT TERM
      data=$1
      shift
      "$@" >>"$data/%s" 2>&1 </dev/null &
      server=$!
      end=delete
      while read -r line; do end=$line; done
      kill -QUIT $server 2>/dev/null
      (sleep 2; kill -QUIT $server; sleep 20; kill -KILL $server) 2>/dev/null &
      insist=$!
      wait $server
      kill -KILL $insist
      [ "$end" = keep ] || rm -rf "$data"
      """
          .formatted(LOG);

  private final Process shell;
  private final Path data;

  private PostgresProcess(Process shell, Path data) {
    this.shell = shell;
    this.data = data;
  }

  static PostgresProcess start(Unprivileged user, Path data, List<String> command)
      throws IOException {
    Files.deleteIfExists(data.resolve(LOG));
    List<String> watched =
        new ArrayList<>(List.of("/bin/sh", "-c", WATCH, "watch-postgres", data.toString()));
    watched.addAll(command);
    Process shell =
        new ProcessBuilder(user.command(watched))
            .directory(data.toFile())
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    return new PostgresProcess(shell, data);
  }

  /** Whether the postmaster has not ended; it has begun when its log is there. */
  boolean isAlive() {
    return shell.isAlive()
        && (!Files.exists(log()) || shell.descendants().anyMatch(PostgresProcess::runs));
  }

  private Path log() {
    return data.resolve(LOG);
  }

  String logText() throws IOException {
    return Files.exists(log()) ? Files.readString(log()) : "it has no log";
  }

  private static boolean isServer(ProcessHandle process) {
    return process.info().command().orElse("").endsWith("/postgres");
  }

  /** A process that has ended, and whose parent has not yet heard of it, has no command. */
  private static boolean runs(ProcessHandle process) {
    return process.isAlive() && process.info().command().isPresent();
  }

  /**
   * The postmaster goes first: it would see to the death of a child. Only then is it known who its
   * children are: it may have had another one at any moment before.
   */
  void kill9() throws IOException {
    shell
        .descendants()
        .filter(
            each -> isServer(each) && !each.parent().map(PostgresProcess::isServer).orElse(true))
        .toList()
        .forEach(
            postmaster -> {
              postmaster.destroyForcibly();
              Await.until("the end of " + postmaster, () -> !runs(postmaster));
            });
    Await.until("the end of all processes", () -> !killChildren());
    end("keep");
  }

  /**
   * Whether there were any. Nobody's children now, they are known by the folder that they are in.
   */
  private boolean killChildren() {
    List<ProcessHandle> children =
        ProcessHandle.allProcesses().filter(each -> isServer(each) && isInData(each)).toList();
    children.forEach(ProcessHandle::destroyForcibly);
    return !children.isEmpty();
  }

  private boolean isInData(ProcessHandle process) {
    try {
      return Files.isSameFile(Path.of("/proc", Long.toString(process.pid()), "cwd"), data);
    } catch (IOException e) {
      // It has ended, or is somebody else's.
      return false;
    }
  }

  /** Without ceremony, but whole; the data stay. */
  void halt() throws IOException {
    end("keep");
  }

  void stop() throws IOException {
    end("delete");
  }

  private void end(String word) throws IOException {
    try (OutputStream input = shell.getOutputStream()) {
      input.write((word + "\n").getBytes(StandardCharsets.UTF_8));
    }
    try {
      if (!shell.waitFor(60, TimeUnit.SECONDS)) {
        throw new IOException("PostgreSQL does not stop: " + logText());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }
}
