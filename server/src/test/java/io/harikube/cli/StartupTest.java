package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.harikube.sql.OpenException;
import io.harikube.testing.Await;
import io.harikube.testing.TestPostgres;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

/** Starts while the database is away. */
class StartupTest {
  private static final String WAIT = "--datastore-startup-timeout=10m";

  private final List<String> log = new CopyOnWriteArrayList<>();
  private final AppenderBase<ILoggingEvent> appender =
      new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
          log.add(event.getFormattedMessage());
        }
      };
  private final RunningServer server = new RunningServer();
  private final TestPostgres postgres = TestPostgres.launch();
  private final TestPostgres.Database database = postgres.newDatabase();

  @BeforeEach
  void listen() {
    appender.start();
    ((Logger) LoggerFactory.getLogger(RunningServer.class)).addAppender(appender);
  }

  @AfterEach
  void stop() {
    ((Logger) LoggerFactory.getLogger(RunningServer.class)).detachAppender(appender);
    server.close();
    postgres.close();
  }

  /** Starts on another thread. */
  private CompletableFuture<Void> start(String endpoint, String... more) {
    ServerCommand command = new ServerCommand(Map.of(), Main.parts());
    CommandLine line = new CommandLine(command);
    line.setDefaultValueProvider(new Environment(Map.of()));
    String[] arguments = new String[more.length + 3];
    System.arraycopy(more, 0, arguments, 3, more.length);
    arguments[0] = "--listen-address=127.0.0.1:0";
    arguments[1] = "--metrics-bind-address=0";
    arguments[2] = "--endpoint=" + endpoint;
    line.parseArgs(arguments);
    return CompletableFuture.runAsync(
        () -> {
          try {
            server.start(command.options, Map.of(), Main.parts());
          } catch (Exception e) {
            throw new CompletionException(e);
          }
        });
  }

  private void awaitWaiting(String why) {
    Await.until("a line that the start waits", () -> !log.isEmpty());
    assertThat(log.getFirst())
        .startsWith("Waits up to 600 s for the database: Cannot connect to postgresql://127.0.0.1:")
        .contains(why)
        .endsWith(".");
  }

  @Test
  void aStartWaitsForItsDatabase() throws Exception {
    postgres.kill9();
    CompletableFuture<Void> start = start(database.url(), WAIT);
    awaitWaiting("refused");
    postgres.start();
    start.get(60, TimeUnit.SECONDS);
    assertThat(server.port()).isPositive();
    assertThat(log.stream().filter(line -> line.startsWith("Waits"))).hasSize(1);
  }

  @Test
  void aStartThatWaitsCanBeStopped() throws Exception {
    postgres.becomeStandby();
    CompletableFuture<Void> start = start(database.url(), WAIT);
    awaitWaiting("is a standby");
    server.close();
    assertThatThrownBy(() -> start.get(60, TimeUnit.SECONDS))
        .hasCauseInstanceOf(StartException.class)
        .hasStackTraceContaining("The server was stopped before it had started.");
  }

  @Test
  void whatWaitingDoesNotMendIsSaidAtOnce() {
    String stranger = database.url().replace("//postgres@", "//stranger@");
    assertThatThrownBy(() -> start(stranger, WAIT).get(60, TimeUnit.SECONDS))
        .hasCauseInstanceOf(OpenException.class)
        .hasStackTraceContaining("stranger");
    assertThat(log).isEmpty();
  }

  @Test
  void theWaitHasAnEnd() throws Exception {
    postgres.kill9();
    assertThatThrownBy(
            () ->
                start(database.url(), "--datastore-startup-timeout=1ms").get(60, TimeUnit.SECONDS))
        .hasCauseInstanceOf(OpenException.class);
  }
}
