package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class GoDurationTest {
  @ParameterizedTest
  @CsvSource({
    "0, PT0S",
    "5s, PT5S",
    "1m30s, PT1M30S",
    "1.5h, PT1H30M",
    ".5s, PT0.5S",
    "1h0m0.25s, PT1H0.25S",
    "250ms, PT0.25S",
    "3us, PT0.000003S",
    "3µs, PT0.000003S",
    "7ns, PT0.000000007S",
    "-2m, PT-2M",
    "+2m, PT2M"
  })
  void asGo(String text, Duration duration) {
    assertThat(new GoDuration().convert(text)).isEqualTo(duration);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "5", "s", "5 s", "5d", "1s-", "--1s", ".s", "1e3s", "3000000h"})
  void others(String text) {
    assertThatThrownBy(() -> new GoDuration().convert(text))
        .isInstanceOf(TypeConversionException.class);
  }
}
