package io.harikube.log;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.turbo.TurboFilter;
import ch.qos.logback.core.spi.FilterReply;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.Marker;

/**
 * What stands between the log and a warning that somebody can cause without end: of each kind some
 * pass in an interval, and the first of a later one says how many did not. A kind is one message of
 * ours before its arguments are put in; of a library, whatever one of its loggers says.
 *
 * <p>For lines that are known to come often there is {@link RareLine}.
 */
public final class Repetitions extends TurboFilter {
  private static final long INTERVAL = TimeUnit.SECONDS.toNanos(10);
  private static final int PASS = 10;
  private static final int KINDS = 1000;

  private final Map<Kind, Passed> kinds = new ConcurrentHashMap<>();

  private record Kind(String logger, String message) {}

  private static final class Passed {
    private long begin = System.nanoTime();
    private int seen;

    /** How many were left out before this one; less than 0 if it is left out itself. */
    synchronized int next() {
      long now = System.nanoTime();
      if (now - begin >= INTERVAL) {
        int leftOut = Math.max(0, seen - PASS);
        begin = now;
        seen = 1;
        return leftOut;
      }
      return ++seen > PASS ? -1 : 0;
    }
  }

  @Override
  public FilterReply decide(
      @Nullable Marker marker,
      Logger logger,
      Level level,
      @Nullable String message,
      Object @Nullable [] arguments,
      @Nullable Throwable failure) {
    if (message == null
        || !level.isGreaterOrEqual(Level.WARN)
        || !level.isGreaterOrEqual(logger.getEffectiveLevel())) {
      return FilterReply.NEUTRAL;
    }
    String name = logger.getName();
    if (name.equals(Repetitions.class.getName())) {
      return FilterReply.NEUTRAL;
    }
    boolean ours = name.startsWith("io.harikube.");
    if (kinds.size() > KINDS) {
      kinds.clear();
    }
    Kind kind = new Kind(name, ours ? message : "");
    int leftOut = kinds.computeIfAbsent(kind, _ -> new Passed()).next();
    if (leftOut < 0) {
      return FilterReply.DENY;
    }
    if (leftOut > 0) {
      LoggerFactory.getLogger(Repetitions.class)
          .warn("{} lines of {} like the next one were left out.", leftOut, name);
    }
    return FilterReply.NEUTRAL;
  }
}
