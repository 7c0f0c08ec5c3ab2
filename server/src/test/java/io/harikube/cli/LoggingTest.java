package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.LoggingEvent;
import ch.qos.logback.core.OutputStreamAppender;
import ch.qos.logback.core.read.ListAppender;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.logging.Level;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class LoggingTest {

  private static ListAppender<ILoggingEvent> listen(String name) {
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    ((Logger) LoggerFactory.getLogger(name)).addAppender(log);
    return log;
  }

  private static List<String> lines(ListAppender<ILoggingEvent> log) {
    return log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
  }

  @Test
  void noWarningComesWithoutEndAndNoneIsHiddenByAnother() {
    Logging.configure(Logging.Format.plain, false);
    ListAppender<ILoggingEvent> log = listen("io.harikube.example");
    org.slf4j.Logger logger = LoggerFactory.getLogger("io.harikube.example");
    for (int i = 0; i < 1000; i++) {
      logger.warn("request {} was refused", i);
      logger.debug("nobody sees this {}", i);
    }
    logger.warn("another thing happened");
    assertThat(lines(log))
        .hasSize(11)
        .startsWith("request 0 was refused")
        .endsWith("request 9 was refused", "another thing happened");
  }

  @Test
  void aNameThatAClientChoseIsNoLineOfItsOwn() {
    Logging.configure(Logging.Format.plain, false);
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    var plain = (OutputStreamAppender<ILoggingEvent>) root.getAppender("plain");
    String name = "n\n2026-01-01T00:00:00.000Z ERROR Store: lost\r\u001b[2J" + "y".repeat(100_000);
    var event =
        new LoggingEvent(
            "x", root, ch.qos.logback.classic.Level.INFO, "{}: deleted", null, new Object[] {name});
    String line = new String(plain.getEncoder().encode(event), StandardCharsets.UTF_8);
    assertThat(line)
        .contains(" INFO  ROOT: n 2026-01-01T00:00:00.000Z ERROR Store: lost  [2Jyyy")
        .hasSizeLessThan(9_000)
        .endsWith("y" + System.lineSeparator());
    assertThat(line.strip()).doesNotContainPattern("\\p{Cntrl}");
  }

  @Test
  void whatALibrarySaysOfAClientIsOneLineAndComesNotWithoutEnd() {
    Logging.configure(Logging.Format.plain, false);
    ListAppender<ILoggingEvent> log = listen("io.grpc.example");
    var grpc = java.util.logging.Logger.getLogger("io.grpc.example");
    for (int i = 0; i < 1000; i++) {
      grpc.log(Level.SEVERE, "a request failed " + i, new IllegalStateException("cut\n  short"));
    }
    assertThat(lines(log)).hasSize(10);
    ILoggingEvent first = log.list.getFirst();
    assertThat(first.getFormattedMessage())
        .isEqualTo("a request failed 0: java.lang.IllegalStateException: cut short");
    assertThat(first.getThrowableProxy()).isNull();
  }
}
