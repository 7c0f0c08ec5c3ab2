package io.harikube.log;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.event.Level;

/**
 * A line of the log that others can cause as often as they like: it is written at most once in an
 * interval, and then says how many like it were left out. One object, kept in a static field, is
 * one kind of line; what happens seldom is thus not hidden by what happens all the time.
 *
 * <p>Safe for any thread; a line that is left out costs two memory accesses.
 */
public final class RareLine {
  private final Logger log;
  private final Level level;
  private final String message;
  private final long interval;
  private final LongSupplier nanoTime;
  private final LongAdder leftOut = new LongAdder();
  private final AtomicLong next;

  /**
   * @param interval at most one line in this time
   * @param message as SLF4J takes it, with {@code {}} for the arguments
   */
  public RareLine(Logger log, Level level, Duration interval, String message) {
    this(log, level, interval, message, System::nanoTime);
  }

  RareLine(Logger log, Level level, Duration interval, String message, LongSupplier nanoTime) {
    this.log = log;
    this.level = level;
    this.message = message;
    this.interval = interval.toNanos();
    this.nanoTime = nanoTime;
    this.next = new AtomicLong(nanoTime.getAsLong());
  }

  /**
   * Writes the line, unless it is too soon.
   *
   * @param arguments as SLF4J takes them: a throwable in the last place is one
   */
  public void write(@Nullable Object... arguments) {
    if (!log.isEnabledForLevel(level)) {
      return;
    }
    long now = nanoTime.getAsLong();
    long due = next.get();
    if (now - due < 0 || !next.compareAndSet(due, now + interval)) {
      leftOut.increment();
      return;
    }
    long more = leftOut.sumThenReset();
    log.atLevel(level)
        .log(more == 0 ? message : message + " (And " + more + " like it before.)", arguments);
  }
}
