package io.harikube.cli;

import io.harikube.sql.OpenException;
import io.harikube.sql.SqlStore;
import io.harikube.tls.TlsException;
import java.io.PrintWriter;
import java.time.InstantSource;
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
    Parts parts =
        new Parts(
            (options, clock, metrics) -> SqlStore.open(options, clock),
            (store, settings) -> {
              throw new UnsupportedOperationException("there is no frontend yet");
            },
            InstantSource.system());
    System.exit(commandLine(System.getenv(), parts).execute(arguments));
  }

  /** The command line, with everything that it takes from its surroundings. */
  static CommandLine commandLine(Map<String, String> environment, Parts parts) {
    CommandLine commandLine =
        new CommandLine(new Harikube())
            .addSubcommand(new ServerCommand(environment, parts))
            .addSubcommand(new VersionCommand());
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

  private static int cannot(Exception exception, CommandLine command) {
    boolean told =
        exception instanceof StartException
            || exception instanceof OpenException
            || exception instanceof TlsException;
    command
        .getErr()
        .println(
            told
                ? exception.getMessage()
                : "The command failed because of an error in the program: "
                    + exception.getClass().getSimpleName()
                    + "; --debug logs where.");
    Logger log = LoggerFactory.getLogger(Main.class);
    log.debug("The command failed.", exception);
    return CANNOT;
  }
}
