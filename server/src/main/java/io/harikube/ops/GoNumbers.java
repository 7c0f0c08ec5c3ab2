package io.harikube.ops;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigDecimal;

/**
 * The values of Prometheus' text format as etcd prints them: a whole number has no fraction. Who
 * reads etcd's metrics with a shell script finds what it expects.
 */
final class GoNumbers {
  // From this power of ten on, Go writes an exponent.
  private static final int SHORTEST_PRECISION = 6;

  private GoNumbers() {}

  /** Rewrites the value, the last word, of every line that is a sample. */
  static byte[] rewrite(byte[] text) {
    StringBuilder out = new StringBuilder(text.length);
    new String(text, UTF_8)
        .lines()
        .forEach(
            line -> {
              int value = line.lastIndexOf(' ') + 1;
              if (line.startsWith("#") || value == 0) {
                out.append(line);
              } else {
                out.append(line, 0, value).append(number(line.substring(value)));
              }
              out.append('\n');
            });
    return out.toString().getBytes(UTF_8);
  }

  /** A number as Java prints it, as Go's format 'g' prints it with as few digits as it can. */
  static String number(String java) {
    double value = Double.parseDouble(java.replace("Inf", "Infinity"));
    if (!Double.isFinite(value)) {
      return java;
    }
    if (value == 0) {
      return "0";
    }
    BigDecimal digits = new BigDecimal(Double.toString(value)).stripTrailingZeros();
    int exponent = digits.precision() - digits.scale() - 1;
    if (exponent >= -4 && exponent < SHORTEST_PRECISION) {
      return digits.toPlainString();
    }
    String mantissa = digits.movePointLeft(exponent).toPlainString();
    return "%se%s%02d".formatted(mantissa, exponent < 0 ? "-" : "+", Math.abs(exponent));
  }
}
