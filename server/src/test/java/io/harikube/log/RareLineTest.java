package io.harikube.log;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

class RareLineTest {
  private final Logger log = (Logger) LoggerFactory.getLogger("rare");
  private final ListAppender<ILoggingEvent> written = new ListAppender<>();
  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 10);

  @BeforeEach
  void listen() {
    log.setAdditive(false);
    written.start();
    log.addAppender(written);
  }

  @AfterEach
  void leave() {
    log.detachAppender(written);
  }

  private RareLine line() {
    return new RareLine(log, Level.WARN, Duration.ofSeconds(10), "Refused: {}.", now::get);
  }

  private List<String> lines() {
    return written.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
  }

  @Test
  void aLineComesOnceInAnIntervalAndSaysHowManyWereLeftOut() {
    RareLine line = line();
    for (int i = 0; i < 100; i++) {
      line.write(i);
    }
    assertThat(lines()).containsExactly("Refused: 0.");

    now.addAndGet(Duration.ofSeconds(10).toNanos() - 1);
    line.write("too soon");
    assertThat(lines()).hasSize(1);

    now.addAndGet(1);
    line.write("late");
    now.addAndGet(Duration.ofDays(1).toNanos());
    line.write("much later");
    assertThat(lines())
        .containsExactly(
            "Refused: 0.", "Refused: late. (And 100 like it before.)", "Refused: much later.");
  }

  @Test
  void aThrowableInTheLastPlaceIsOne() {
    RareLine line = line();
    line.write("a");
    line.write("b");
    now.addAndGet(Duration.ofSeconds(10).toNanos());
    line.write("c", new IllegalStateException("why"));
    assertThat(written.list.getLast().getThrowableProxy().getMessage()).isEqualTo("why");
  }

  @Test
  void manyThreadsWriteOneLine() throws Exception {
    RareLine line = line();
    CountDownLatch go = new CountDownLatch(1);
    List<Thread> threads =
        IntStream.range(0, 16)
            .mapToObj(
                _ ->
                    Thread.ofPlatform()
                        .start(
                            () -> {
                              try {
                                go.await();
                                line.write("at once");
                              } catch (InterruptedException e) {
                                throw new IllegalStateException(e);
                              }
                            }))
            .toList();
    go.countDown();
    for (Thread thread : threads) {
      thread.join();
    }
    // One that loses may be counted by the line of the one that wins, or by the next one.
    assertThat(lines()).hasSize(1);
    now.addAndGet(Duration.ofSeconds(10).toNanos());
    line.write("later");
    assertThat(lines().getFirst())
        .matches("Refused: at once\\.( \\(And \\d+ like it before\\.\\))?");
    assertThat(lines().getLast()).matches("Refused: later\\.( \\(And \\d+ like it before\\.\\))?");
    assertThat(lines()).hasSize(2);
    assertThat(lines().stream().mapToInt(RareLineTest::leftOut).sum()).isEqualTo(15);
  }

  /** How many a line says that were left out. */
  private static int leftOut(String line) {
    String digits = line.replaceAll("\\D", "");
    return digits.isEmpty() ? 0 : Integer.parseInt(digits);
  }
}
