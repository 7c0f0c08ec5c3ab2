package io.harikube.tls;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.LoggerFactory;

class ExpiryWatchTest {
  @TempDir Path folder;

  private List<String> warnings(PemFiles files, Instant now) {
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    Logger logger = (Logger) LoggerFactory.getLogger(ExpiryWatch.class);
    logger.addAppender(log);
    try (ExpiryWatch watch =
        new ExpiryWatch(files, () -> now, Executors.newSingleThreadScheduledExecutor())) {
      watch.start();
      watch.look();
    } finally {
      logger.detachAppender(log);
    }
    return log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
  }

  @ParameterizedTest
  @CsvSource({
    "P365D, P31D, false",
    "P365D, P29D, true",
    "P90D, P29D, false",
    "P90D, P17D, true",
    "PT24H, PT5H, false",
    "PT24H, PT4H, true"
  })
  void soonDependsOnTheWholeLife(Duration life, Duration left, boolean warns) throws Exception {
    Instant end = Instant.parse("2040-01-01T00:00:00Z");
    var files = new Certificates().write(folder, "server", end.minus(life), end);
    PemFiles pem = PemFiles.read(files.certificate(), files.key(), null);
    List<String> expected =
        warns
            ? List.of(
                "The certificate of this server, CN=server, expires at 2040-01-01T00:00:00Z:"
                    + " give it a new one before.")
            : List.of();
    assertThat(warnings(pem, end.minus(left))).isEqualTo(expected);
  }

  @Test
  void onceItHasExpiredThatIsSaid() throws Exception {
    Instant end = Instant.parse("2040-01-01T00:00:00Z");
    var files = new Certificates().write(folder, "server", end.minusSeconds(9999), end);
    PemFiles pem = PemFiles.read(files.certificate(), files.key(), null);
    assertThat(warnings(pem, end.plusSeconds(1)))
        .containsExactly(
            "The certificate of this server, CN=server, has expired at 2040-01-01T00:00:00Z:"
                + " clients will not accept it.");
    assertThat(warnings(PemFiles.read(null, null, files.authority()), end)).isEmpty();
  }
}
