package io.harikube.e2e;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/** A program that runs until it is stopped, and can be started again with the same arguments. */
public final class Program {
  private static final Duration TO_STOP = Duration.ofSeconds(20);

  private final String name;
  private final List<String> command;
  private final Path log;
  private Process process;

  /** Starts it. */
  Program(String name, List<String> command, Path log) {
    this.name = name;
    this.command = command;
    this.log = log;
    process = launch();
  }

  private Process launch() {
    try {
      Files.createDirectories(log.getParent());
      return new ProcessBuilder(command)
          .redirectErrorStream(true)
          .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
          .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Waits until the question is answered with true.
   *
   * @throws IllegalStateException if the program ends before, or it takes longer
   */
  void await(Duration atMost, Callable<Boolean> question) {
    Await.until(
        name + " is ready; its log is " + log, atMost, () -> !process.isAlive() || question.call());
    if (!process.isAlive()) {
      throw new IllegalStateException(
          name + " has ended with " + process.exitValue() + "; its log is " + log);
    }
  }

  /** Whether it runs. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** The process itself, behind those that brought it to its place. */
  private ProcessHandle innermost() {
    ProcessHandle handle = process.toHandle();
    // nsenter is its only parent; its own children are not looked at.
    return command.getFirst().equals("nsenter")
        ? handle.children().findFirst().orElse(handle)
        : handle;
  }

  /** Its process id as the machine of the test sees it. */
  public long pid() {
    return innermost().pid();
  }

  /** Kills it: kill -9. */
  public void kill() {
    innermost().destroyForcibly();
    ended(TO_STOP);
  }

  /** Asks it to end, and kills it if it does not. */
  public void stop() {
    innermost().destroy();
    if (!ended(TO_STOP)) {
      kill();
    }
  }

  /** Starts it again after it has ended. */
  public void start() {
    if (process.isAlive()) {
      throw new IllegalStateException(name + " runs");
    }
    process = launch();
  }

  private boolean ended(Duration atMost) {
    try {
      return process.waitFor(atMost.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
