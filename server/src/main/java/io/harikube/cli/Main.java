package io.harikube.cli;

import io.harikube.gc.Rules;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.KubernetesSelectors;
import io.harikube.sql.OpenException;
import io.harikube.sql.Restore;
import io.harikube.sql.SqlStore;
import io.harikube.store.MonotonicClock;
import io.harikube.tls.TlsException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * The command line. Exit codes: 0 if all went well, 1 with one sentence on stderr if the command
 * cannot do its work, 2 with one sentence on stderr if the command line is wrong.
 */
public final class Main {
  private static final int CANNOT = 1;
  private static final int USAGE = 2;

  /** What stands between a scheme and the last @ may be a password, with whatever characters. */
  private static final Pattern LOGIN = Pattern.compile("://.*@", Pattern.DOTALL);

  /** The name of an option, as opposed to its value. */
  private static final Pattern NAME =
      Pattern.compile("(-[A-Za-z]|--[A-Za-z-]+)(=.*)?", Pattern.DOTALL);

  @Command(
      name = "harikube",
      description = "A storage server for Kubernetes on SQLite and PostgreSQL.",
      subcommands = HelpCommand.class,
      synopsisSubcommandLabel = "COMMAND")
  private static final class Harikube {}

  private Main() {}

  public static void main(String[] arguments) {
    System.exit(commandLine(System.getenv(), parts()).execute(arguments));
  }

  /** The parts of a real server. */
  static Parts parts() {
    KeySpace keys = new KeySpace("/registry");
    KubernetesSelectors selectors = new KubernetesSelectors(keys);
    Rules rules = new Rules(keys);
    return new Parts(
        (options, clock, metrics) -> {
          SqliteLibrary.load();
          return SqlStore.open(options, clock, metrics, selectors, rules);
        },
        (store, settings) -> EtcdFrontend.serve(store, settings, selectors, rules),
        (snapshot, options, from) -> {
          SqliteLibrary.load();
          return Restore.restore(snapshot, options, from);
        },
        new MonotonicClock());
  }

  /** The command line, with everything that it takes from its surroundings. */
  static CommandLine commandLine(Map<String, String> environment, Parts parts) {
    CommandLine commandLine =
        new CommandLine(new Harikube())
            .addSubcommand(new ServerCommand(environment, parts))
            .addSubcommand(new RestoreCommand(environment, parts))
            .addSubcommand(new GcCommand())
            .addSubcommand(new VersionCommand())
            .addSubcommand(new TrainCommand(parts));
    commandLine.getSubcommands().values().forEach(Main::addHelp);
    addHelp(commandLine);
    return commandLine
        .setDefaultValueProvider(new Environment(environment))
        .setCaseInsensitiveEnumValuesAllowed(false)
        .setParameterExceptionHandler((exception, arguments) -> usage(exception))
        .setExecutionExceptionHandler((exception, command, result) -> cannot(exception, command));
  }

  private static void addHelp(CommandLine command) {
    if (!command.getCommandSpec().optionsMap().containsKey("--help")) {
      command
          .getCommandSpec()
          .addOption(
              OptionSpec.builder("-h", "--help")
                  .usageHelp(true)
                  .description("Show this help.")
                  .build());
    }
  }

  private static int usage(ParameterException exception) {
    CommandLine command = exception.getCommandLine();
    PrintWriter err = command.getErr();
    String name = command.getCommandSpec().name();
    String message =
        exception instanceof UnmatchedArgumentException unmatched
            ? unmatched(unmatched)
            : LOGIN.matcher(String.valueOf(exception.getMessage())).replaceAll("://***@");
    err.println(
        message.replaceAll("\\R.*", "")
            + "; see harikube help"
            + (name.equals("harikube") ? "" : " " + name)
            + ".");
    return USAGE;
  }

  /** Only names of options are repeated: anything else may be, or belong to, a password. */
  private static String unmatched(UnmatchedArgumentException exception) {
    List<String> names =
        exception.getUnmatched().stream()
            .map(NAME::matcher)
            .filter(Matcher::matches)
            .map(option -> "'" + option.group(1) + "'")
            .toList();
    return names.isEmpty()
        ? "There is an argument too many"
        : "Unknown option: " + String.join(", ", names);
  }

  /** One line that begins and ends as a sentence does, whatever a database has put into it. */
  static String sentence(String message) {
    String line = message.strip().replaceAll("\\s*\\R\\s*", " ");
    // Not a path, which would be another one then.
    String capital =
        line.matches("[a-z]+[ ,:].*")
            ? Character.toUpperCase(line.charAt(0)) + line.substring(1)
            : line;
    return capital.endsWith(".") ? capital : capital + ".";
  }

  private static int cannot(Exception exception, CommandLine command) {
    boolean told =
        exception instanceof StartException
            || exception instanceof OpenException
            || exception instanceof TlsException;
    command
        .getErr()
        .println(
            told
                ? sentence(String.valueOf(exception.getMessage()))
                : "The command failed because of an error in the program: "
                    + exception.getClass().getSimpleName()
                    + "; --debug logs where.");
    Logger log = LoggerFactory.getLogger(Main.class);
    log.debug("The command failed.", exception);
    return CANNOT;
  }
}
