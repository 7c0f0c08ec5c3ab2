package io.harikube.tls;

import io.harikube.log.RareLine;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Warns, at the start and every day, of a certificate that has expired or will soon: in less than
 * 30 days, or for one that lives short, in less than a fifth of its life.
 */
public final class ExpiryWatch implements AutoCloseable {
  private static final Duration SOON = Duration.ofDays(30);

  private final RareLine expired =
      line("The certificate of this server, {}, has expired at {}: clients will not accept it.");
  private final RareLine expiring =
      line("The certificate of this server, {}, expires at {}: give it a new one before.");

  private final PemFiles files;
  private final InstantSource clock;
  private final ScheduledExecutorService scheduler;

  /**
   * @param scheduler on which is looked; closed with this
   */
  public ExpiryWatch(PemFiles files, InstantSource clock, ScheduledExecutorService scheduler) {
    this.files = files;
    this.clock = clock;
    this.scheduler = scheduler;
  }

  private static RareLine line(String message) {
    return new RareLine(
        LoggerFactory.getLogger(ExpiryWatch.class), Level.WARN, Duration.ofDays(1), message);
  }

  /** Looks now, and then every hour. */
  public void start() {
    look();
    var _ = scheduler.scheduleWithFixedDelay(this::look, 1, 1, TimeUnit.HOURS);
  }

  void look() {
    Instant now = clock.instant();
    for (X509Certificate certificate : files.chain()) {
      Instant end = certificate.getNotAfter().toInstant();
      Duration life = Duration.between(certificate.getNotBefore().toInstant(), end);
      Duration left = Duration.between(now, end);
      String name = certificate.getSubjectX500Principal().getName();
      if (left.isNegative()) {
        expired.write(name, end);
      } else if (left.compareTo(SOON) < 0 && left.compareTo(life.dividedBy(5)) < 0) {
        expiring.write(name, end);
      }
    }
  }

  @Override
  public void close() {
    scheduler.shutdownNow();
  }
}
