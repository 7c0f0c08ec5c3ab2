package io.harikube.cli;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Durations as Go writes them, and kine takes them: {@code 5s}, {@code 1m30s}, {@code 1.5h}. */
final class GoDuration implements ITypeConverter<Duration> {
  private static final Pattern ALL =
      Pattern.compile("[+-]?(0|((\\d+\\.?\\d*|\\.\\d+)(ns|us|µs|μs|ms|s|m|h))+)");
  private static final Pattern PART =
      Pattern.compile("(\\d+\\.?\\d*|\\.\\d+)(ns|us|µs|μs|ms|s|m|h)");

  @Override
  public Duration convert(String text) {
    if (!ALL.matcher(text).matches()) {
      throw new TypeConversionException("'" + text + "' is not a duration such as 5s or 1m30s");
    }
    BigDecimal nanos = BigDecimal.ZERO;
    Matcher part = PART.matcher(text);
    while (part.find()) {
      nanos = nanos.add(new BigDecimal(part.group(1)).multiply(unit(part.group(2))));
    }
    try {
      Duration duration = Duration.ofNanos(nanos.toBigInteger().longValueExact());
      return text.startsWith("-") ? duration.negated() : duration;
    } catch (ArithmeticException e) {
      throw new TypeConversionException("'" + text + "' is longer than 292 years");
    }
  }

  private static BigDecimal unit(String unit) {
    return BigDecimal.valueOf(
        switch (unit) {
          case "ns" -> 1L;
          case "us", "µs", "μs" -> 1_000L;
          case "ms" -> 1_000_000L;
          case "s" -> 1_000_000_000L;
          case "m" -> 60_000_000_000L;
          default -> 3_600_000_000_000L;
        });
  }
}
