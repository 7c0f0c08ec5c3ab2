package io.harikube.ops;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GoNumbersTest {
  /** The right side is what strconv.FormatFloat(x, 'g', -1, 64) of Go answers. */
  @ParameterizedTest
  @CsvSource({
    "1.0, 1",
    "0.0, 0",
    "-3.0, -3",
    "155648.0, 155648",
    "1.234567E7, 1.234567e+07",
    "2.147483648E9, 2.147483648e+09",
    "1000000.0, 1e+06",
    "0.25, 0.25",
    "1.0E-4, 0.0001",
    "1.5E-5, 1.5e-05",
    "9.223372036854776E18, 9.223372036854776e+18",
    "NaN, NaN",
    "+Inf, +Inf"
  })
  void numbersAreAsGoPrintsThem(String java, String go) {
    assertThat(GoNumbers.number(java)).isEqualTo(go);
  }

  @Test
  void onlyTheValuesOfSamplesChange() {
    String text = "# HELP a b 1.0\na{le=\"1.0\",x=\"y 2.0\"} 3.0\nb 4.5\n";
    assertThat(new String(GoNumbers.rewrite(text.getBytes(UTF_8)), UTF_8))
        .isEqualTo("# HELP a b 1.0\na{le=\"1.0\",x=\"y 2.0\"} 3\nb 4.5\n");
  }
}
