package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.ops.Metric;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/**
 * The tables of docs/operations.md are what the code says. {@code mvn test -Dtest=OperationsDocTest
 * -Ddocs.update=true} writes them anew.
 */
class OperationsDocTest {
  private static final Path DOC = Path.of("..", "docs", "operations.md");

  @Test
  void options() throws IOException {
    CommandLine main = Main.commandLine(Map.of(), new StubParts().parts());
    for (Map.Entry<String, CommandLine> command : main.getSubcommands().entrySet()) {
      if (options(command.getValue()).isEmpty() || command.getKey().equals("help")) {
        continue;
      }
      StringJoiner table = new StringJoiner("\n");
      table.add("| option | default | environment | meaning |");
      table.add("|---|---|---|---|");
      for (OptionSpec option : options(command.getValue())) {
        table.add(
            "| `%s` | %s | %s | %s |"
                .formatted(
                    option.longestName()
                        + (option.arity().max() == 0 ? "" : "=" + option.paramLabel()),
                    option.defaultValue() == null ? "" : "`" + option.defaultValue() + "`",
                    Arrays.stream(Environment.variables(option.longestName()))
                        .map(variable -> "`" + variable + "`")
                        .collect(Collectors.joining(", ")),
                    String.join(" ", option.description()).replace("%%", "%")));
      }
      check(command.getKey() + "-options", table.toString());
    }
  }

  private static List<OptionSpec> options(CommandLine command) {
    return command.getCommandSpec().options().stream().filter(o -> !o.usageHelp()).toList();
  }

  @Test
  void metrics() throws IOException {
    StringJoiner table = new StringJoiner("\n");
    table.add("| metric | type | labels | meaning |");
    table.add("|---|---|---|---|");
    for (Metric metric : Metric.values()) {
      table.add(
          "| `%s` | %s | %s | %s |"
              .formatted(
                  metric.fullName(),
                  metric.type(),
                  metric.labels().stream()
                      .map(label -> "`" + label + "`")
                      .collect(Collectors.joining(", ")),
                  metric.help()));
    }
    check("metrics", table.toString());
  }

  private static void check(String name, String table) throws IOException {
    String begin = "<!-- " + name + " -->\n";
    String end = "<!-- /" + name + " -->";
    String text = Files.readString(DOC);
    assertThat(text).contains(begin, end);
    int from = text.indexOf(begin) + begin.length();
    int to = text.indexOf(end, from);
    if (Boolean.getBoolean("docs.update")) {
      Files.writeString(DOC, text.substring(0, from) + table + "\n" + text.substring(to));
    } else {
      assertThat(text.substring(from, to)).isEqualTo(table + "\n");
    }
  }
}
