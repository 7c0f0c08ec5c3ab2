package io.harikube.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/** Programs that are run to their end. */
final class Commands {
  /** What a program has written, both its outputs together, and how it ended. */
  record Result(List<String> command, int status, String output) {
    /** The output of a program that has succeeded. */
    String mustSucceed() {
      if (status != 0) {
        throw new IllegalStateException(
            String.join(" ", command) + " ended with " + status + ":\n" + output);
      }
      return output;
    }
  }

  private Commands() {}

  static String run(String... command) {
    return result(new ProcessBuilder(command)).mustSucceed();
  }

  static String run(List<String> command) {
    return result(new ProcessBuilder(command)).mustSucceed();
  }

  static Result result(ProcessBuilder builder) {
    try {
      Process process = builder.redirectErrorStream(true).start();
      process.getOutputStream().close();
      String output = new String(process.getInputStream().readAllBytes(), UTF_8);
      return new Result(builder.command(), process.waitFor(), output);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted in " + String.join(" ", builder.command()), e);
    }
  }
}
