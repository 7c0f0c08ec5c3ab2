package io.harikube.cli;

import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.KubernetesSelectors;
import io.harikube.sql.OpenException;
import io.harikube.sql.Restore;
import io.harikube.sql.SqlStore;
import io.harikube.store.MonotonicClock;
import io.harikube.tls.TlsException;
import java.io.PrintWriter;
import java.util.Map;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.ParameterException;

/**
 * The command line. Exit codes: 0 if all went well, 1 with one sentence on stderr if the command
 * cannot do its work, 2 with one sentence on stderr if the command line is wrong.
 */
public final class Main {
  private static final int CANNOT = 1;
  private static final int USAGE = 2;

  /** What stands between a scheme and the last @ may be a password. */
  private static final Pattern LOGIN = Pattern.compile("://[^\\s'\"]*@");

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
    KubernetesSelectors selectors = new KubernetesSelectors(new KeySpace("/registry"));
    return new Parts(
        (options, clock, metrics) -> SqlStore.open(options, clock, metrics, selectors),
        (store, settings) -> EtcdFrontend.serve(store, settings, selectors),
        Restore::restore,
        new MonotonicClock());
  }

  /** The command line, with everything that it takes from its surroundings. */
  static CommandLine commandLine(Map<String, String> environment, Parts parts) {
    CommandLine commandLine =
        new CommandLine(new Harikube())
            .addSubcommand(new ServerCommand(environment, parts))
            .addSubcommand(new RestoreCommand(environment, parts))
            .addSubcommand(new VersionCommand())
            .addSubcommand(new TrainCommand(parts));
    return commandLine
        .setDefaultValueProvider(new Environment(environment))
        .setCaseInsensitiveEnumValuesAllowed(false)
        .setParameterExceptionHandler((exception, arguments) -> usage(exception))
        .setExecutionExceptionHandler((exception, command, result) -> cannot(exception, command));
  }

  private static int usage(ParameterException exception) {
    CommandLine command = exception.getCommandLine();
    PrintWriter err = command.getErr();
    String name = command.getCommandSpec().name();
    String message = String.valueOf(exception.getMessage()).replaceAll("\\R.*", "");
    err.println(
        LOGIN.matcher(message).replaceAll("://***@")
            + "; see harikube help"
            + (name.equals("harikube") ? "" : " " + name)
            + ".");
    return USAGE;
  }

  /** One line that begins and ends as a sentence does, whatever a database has put into it. */
  static String sentence(String message) {
    String line = message.strip().replaceAll("\\s*\\R\\s*", " ");
    String capital =
        line.startsWith("/") || line.isEmpty()
            ? line
            : Character.toUpperCase(line.charAt(0)) + line.substring(1);
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
