package io.harikube.cli;

import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Options from environment variables: {@code --listen-address} from {@code
 * HARIKUBE_LISTEN_ADDRESS}, and where kine has the option, too, else from {@code
 * KINE_LISTEN_ADDRESS}. An empty variable is none. The command line comes first.
 */
final class Environment implements IDefaultValueProvider {
  /** The options that kine has under the same name, with the same meaning. */
  private static final Set<String> KINE =
      Set.of(
          "LISTEN_ADDRESS",
          "ENDPOINT",
          "CA_FILE",
          "CERT_FILE",
          "KEY_FILE",
          "SKIP_VERIFY",
          "LOG_FORMAT",
          "METRICS_BIND_ADDRESS",
          "METRICS_IGNORE_TLS_CONFIG",
          "SERVER_CERT_FILE",
          "SERVER_KEY_FILE",
          "TRUSTED_CA_FILE",
          "DATASTORE_MAX_IDLE_CONNECTIONS",
          "DATASTORE_MAX_OPEN_CONNECTIONS",
          "DATASTORE_CONNECTION_MAX_LIFETIME",
          "DATASTORE_CONNECTION_MAX_IDLE_TIME",
          "SLOW_SQL_THRESHOLD",
          "WATCH_PROGRESS_NOTIFY_INTERVAL",
          "COMPACT_INTERVAL",
          "COMPACT_TIMEOUT",
          "COMPACT_MIN_RETAIN",
          "COMPACT_BATCH_SIZE",
          "DEBUG");

  private final Map<String, String> variables;

  Environment(Map<String, String> variables) {
    this.variables = variables;
  }

  @Override
  public @Nullable String defaultValue(ArgSpec argument) {
    if (!(argument instanceof OptionSpec option)) {
      return null;
    }
    for (String variable : variables(option.longestName())) {
      String value = variables.get(variable);
      if (value != null && !value.isEmpty()) {
        return option.arity().max() == 0 ? truth(value) : value;
      }
    }
    return null;
  }

  /** A switch as Go reads it, and so kine. */
  private static String truth(String value) {
    return switch (value) {
      case "1", "t", "T", "TRUE", "True" -> "true";
      case "0", "f", "F", "FALSE", "False" -> "false";
      default -> value;
    };
  }

  /** The variables that an option is looked for in, the strongest first. */
  static String[] variables(String option) {
    String name = option.replaceFirst("^--", "").replace('-', '_').toUpperCase(Locale.ROOT);
    return KINE.contains(name)
        ? new String[] {"HARIKUBE_" + name, "KINE_" + name}
        : new String[] {"HARIKUBE_" + name};
  }
}
