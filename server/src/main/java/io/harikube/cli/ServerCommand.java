package io.harikube.cli;

import io.harikube.gc.Mode;
import io.harikube.sql.OpenException;
import io.harikube.tls.TlsException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code harikube server}. */
@Command(
    name = "server",
    description = "Serve the etcd v3 API from a SQLite or PostgreSQL database.",
    sortOptions = false)
final class ServerCommand implements Callable<Integer> {
  private static final Logger LOG = LoggerFactory.getLogger(ServerCommand.class);

  /** The exit code of a server that has lost its database to another one. */
  private static final int ENDED = 4;

  // What is larger than these is a slip, and would take all memory.
  private static final int MAX_REQUEST_BYTES = 1 << 30;
  private static final int MAX_BATCH = 1_000_000;
  private static final int MAX_CONNECTIONS = 10_000;

  private static final Duration SHUTDOWN = Duration.ofSeconds(10);

  @Mixin ServerOptions options = new ServerOptions();
  @Spec CommandSpec spec = CommandSpec.create();

  private final Map<String, String> environment;
  private final Parts parts;

  ServerCommand(Map<String, String> environment, Parts parts) {
    this.environment = environment;
    this.parts = parts;
  }

  @Override
  public Integer call() throws Exception {
    check("--max-request-bytes", options.maxRequestBytes, 1, MAX_REQUEST_BYTES);
    check("--max-txn-ops", options.maxTxnOps, 1, Integer.MAX_VALUE);
    check("--max-answer-bytes", options.maxAnswerBytes, 0, Long.MAX_VALUE);
    check("--quota-backend-bytes", options.quotaBackendBytes, 0, Long.MAX_VALUE);
    check("--compact-batch-size", options.compactBatchSize, 1, MAX_BATCH);
    check("--compact-min-retain", options.compactMinRetain, 0, Long.MAX_VALUE);
    check("--compact-interval", options.compactInterval.toNanos(), 0, Long.MAX_VALUE);
    check("--compact-timeout", options.compactTimeout.toNanos(), 0, Long.MAX_VALUE);
    check("--datastore-startup-timeout", options.startupTimeout.toNanos(), 0, Long.MAX_VALUE);
    check("--slow-sql-threshold", options.slowSqlThreshold.toNanos(), 0, Long.MAX_VALUE);
    check(
        "--datastore-max-open-connections",
        options.maxOpenConnections,
        Integer.MIN_VALUE,
        MAX_CONNECTIONS);
    if (options.progressInterval.toMillis() <= 0) {
      throw wrong("--watch-progress-notify-interval has to be 1ms or longer");
    }
    if (options.gcAdopt && options.gc == Mode.OFF) {
      throw wrong("--gc-adopt needs --gc=on, or --gc=dry-run to see what would be deleted");
    }
    if (options.acceptStore && options.ownerFile == null) {
      throw wrong("--accept-store needs --owner-file");
    }
    Logging.configure(options.logFormat, options.debug);
    RunningServer server = new RunningServer();
    Thread hook = new Thread(() -> shutDown(server), "shutdown");
    Runtime.getRuntime().addShutdownHook(hook);
    try {
      server.start(options, environment, parts);
    } catch (StartException | OpenException | TlsException | RuntimeException e) {
      if (removed(hook)) {
        throw e;
      }
    }
    String reason = Main.sentence(server.ended().get());
    if (removed(hook)) {
      LOG.error("This server ends, to be started again by what supervises it: {}", reason);
      end(server, ENDED);
    }
    new CountDownLatch(1).await();
    return 0;
  }

  private void check(String option, long value, long least, long most) {
    if (value < least) {
      throw wrong(
          option + " has to be " + (least == 0 ? "0 or greater" : "greater than " + (least - 1)));
    }
    if (value > most) {
      throw wrong(option + " has to be " + most + " or less");
    }
  }

  private ParameterException wrong(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }

  /** Whether the hook will not run: not if a signal has come meanwhile. */
  private static boolean removed(Thread hook) {
    try {
      return Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return false;
    }
  }

  /** On a signal: the JVM would end with 128 and its number, but the server was asked to end. */
  private static void shutDown(RunningServer server) {
    LOG.info("Shutting down.");
    end(server, 0);
  }

  /**
   * Closes the server and ends the process, with {@code code}, 1 if it should be 0 but that takes
   * too long.
   */
  private static void end(RunningServer server, int code) {
    Thread closing = Thread.ofPlatform().daemon().name("closing").start(server::close);
    boolean closed = false;
    try {
      closed = closing.join(SHUTDOWN);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (closed) {
      LOG.info("Shut down.");
    } else {
      LOG.warn("The shutdown takes longer than {} and is cut off; no data is lost.", SHUTDOWN);
    }
    Runtime.getRuntime().halt(closed || code != 0 ? code : 1);
  }
}
