package io.harikube.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.harikube.ops.Version;
import io.harikube.sql.Restore;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

class MainTest {
  private record Outcome(int code, String out, String err) {}

  private static Outcome run(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine commandLine =
        Main.commandLine(Map.of(), new StubParts().parts())
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true));
    return new Outcome(commandLine.execute(arguments), out.toString(), err.toString());
  }

  /** A process of its own, with a store and a frontend that are stubs. */
  private static Process child(String... arguments) throws IOException {
    return Child.start(StubParts.class, arguments);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "server --no-such=1 | Unknown option: '--no-such'; see harikube help server.",
        "restore x --bump-revision=1 | --bump-revision must be between 2 and 1000000000000; see --exact"
            + " for a copy that does not go ahead; see harikube help restore.",
        "restore x --exact --bump-revision=7 | --exact and --bump-revision exclude each other; see"
            + " harikube help restore.",
        "server surplus | There is an argument too many; see harikube help server.",
        "server --endpoin=postgres://u:geheim@h/db"
            + " | Unknown option: '--endpoin'; see harikube help server.",
        "server --endpoin=postgres://u:p''w@h/db -x 1 -pgeheim"
            + " | Unknown option: '--endpoin', '-x'; see harikube help server.",
        "server --datastore-password=geheim"
            + " | Unknown option: '--datastore-password'; see harikube help server.",
        "server --datastore-password geheim"
            + " | Unknown option: '--datastore-password'; see harikube help server.",
        "server postgres://u:ge@he:im@h/db"
            + " | There is an argument too many; see harikube help server.",
        "server --skip-verify=postgres://u:it''s@h/db | Invalid value for option '--skip-verify':"
            + " 'postgres://***@h/db' is not a boolean; see harikube help server.",
        "server --max-request-bytes=2147483647"
            + " | --max-request-bytes has to be 1073741824 or less; see harikube help server.",
        "server --datastore-max-open-connections=2147483647 | --datastore-max-open-connections has"
            + " to be 10000 or less; see harikube help server.",
        "server --max-answer-bytes=-1"
            + " | --max-answer-bytes has to be 0 or greater; see harikube help server.",
        "server --compact-interval=-1s"
            + " | --compact-interval has to be 0 or greater; see harikube help server.",
        "server --gc=off --gc-adopt"
            + " | --gc-adopt needs --gc=on, or --gc=dry-run to see what would be deleted; see"
            + " harikube help server.",
        "server --accept-store | --accept-store needs --owner-file; see harikube help server.",
        "server --compact-min-retain=-1"
            + " | --compact-min-retain has to be 0 or greater; see harikube help server.",
        "server --max-txn-ops=x | Invalid value for option '--max-txn-ops': 'x' is not an int;"
            + " see harikube help server.",
        "server --max-txn-ops=0"
            + " | --max-txn-ops has to be greater than 0; see harikube help server.",
        "server --log-format=xml | Invalid value for option '--log-format': expected one of"
            + " [plain, json] (case-sensitive) but was 'xml'; see harikube help server.",
        "server --compact-interval=5 | Invalid value for option '--compact-interval': '5' is not a"
            + " duration such as 5s or 1m30s; see harikube help server.",
        "server --endpoint"
            + " | Missing required parameter for option '--endpoint' (<url>); see harikube help"
            + " server.",
        "'' | Missing required subcommand; see harikube help."
      })
  void usageErrorsAreOneSentence(String arguments, String sentence) {
    Outcome outcome = run(arguments.isEmpty() ? new String[0] : arguments.split(" ", -1));
    assertThat(outcome.err).isEqualTo(sentence + System.lineSeparator());
    assertThat(outcome.code).isEqualTo(2);
    assertThat(outcome.out).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "true, 1", "T, 1", "0, 0", "'', 0"})
  void switchesInTheEnvironmentAsInGo(String value, int set) {
    ServerCommand command = new ServerCommand(Map.of(), new StubParts().parts());
    new CommandLine(command)
        .setDefaultValueProvider(new Environment(Map.of("KINE_SKIP_VERIFY", value)))
        .parseArgs();
    assertThat(command.options.datastore.skipVerify).isEqualTo(set == 1);
  }

  private static Restore.@Nullable From restored(String... options) {
    StubParts stub = new StubParts();
    List<String> arguments = new ArrayList<>(List.of("restore", "x", "--endpoint=sqlite://y"));
    arguments.addAll(List.of(options));
    CommandLine commandLine =
        Main.commandLine(Map.of(), stub.parts()).setOut(new PrintWriter(new StringWriter()));
    assertThat(commandLine.execute(arguments.toArray(new String[0]))).isZero();
    return stub.restored;
  }

  @Test
  void aRestoredStoreGoesAheadUnlessItIsToBeExact() {
    assertThat(restored()).isEqualTo(new Restore.Bumped(1_000_000_000));
    assertThat(restored("--bump-revision=7")).isEqualTo(new Restore.Bumped(7));
    assertThat(restored("--exact")).isEqualTo(new Restore.Exact());
  }

  @Test
  void version() {
    Outcome outcome = run("version");
    assertThat(outcome.out).startsWith("harikube " + Version.HARIKUBE + " (etcd 3.6.14, Java ");
    assertThat(outcome.code).isZero();
    assertThat(Version.HARIKUBE).matches("\\d+\\.\\d+\\.\\d+.*");
  }

  @Test
  void help() {
    assertThat(run("help").out).contains("server", "version", "help");
    Outcome outcome = run("help", "server");
    assertThat(outcome.out).contains("--listen-address=<address>", "--compact-min-retain");
    assertThat(outcome.code).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "-h", "help"})
  void helpIsWhereItIsLookedFor(String option) {
    Outcome outcome = run(option);
    assertThat(outcome.out).contains("server", "restore", "version");
    assertThat(outcome.code).isZero();
    for (String command : List.of("server", "restore", "version")) {
      Outcome of = option.equals("help") ? run(option, command) : run(command, option);
      assertThat(of.out).startsWith("Usage: harikube " + command);
      assertThat(of.err).isEmpty();
      assertThat(of.code).isZero();
    }
  }

  @Test
  void aSentenceBeginsWithACapitalUnlessItIsAPath() {
    assertThat(Main.sentence("the database is\n  in use")).isEqualTo("The database is in use.");
    assertThat(Main.sentence("data/snap.db is damaged")).isEqualTo("data/snap.db is damaged.");
    assertThat(Main.sentence("./snap.db is damaged")).isEqualTo("./snap.db is damaged.");
    assertThat(Main.sentence("snap.db is damaged.")).isEqualTo("snap.db is damaged.");
  }

  @Test
  void aChildThatCannotStartSaysOneSentence() throws Exception {
    Process child =
        child("server", "--listen-address=127.0.0.1:0", "--endpoint=mysql://u:geheim@h/db");
    assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(child.errorReader().lines())
        .containsExactly(
            "The endpoint's scheme \"mysql\" is not supported; supported are"
                + " sqlite:///path/to/file.db and postgres://user@host:port/database.");
    assertThat(child.exitValue()).isEqualTo(1);
    assertThat(child.inputReader().lines()).isEmpty();
  }

  @Test
  void whatLibrariesLogByTheJdksMeansIsInTheLogToo() {
    run("server", "--endpoint=mysql://h");
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.start();
    Logger logger = (Logger) LoggerFactory.getLogger("org.example");
    logger.addAppender(log);
    var jdk = java.util.logging.Logger.getLogger("org.example");
    jdk.log(java.util.logging.Level.WARNING, "{0} is odd", "this");
    jdk.log(java.util.logging.Level.FINE, "nobody wants to know");
    assertThat(log.list).hasSize(1);
    assertThat(log.list.getFirst().getFormattedMessage()).isEqualTo("this is odd");
    assertThat(log.list.getFirst().getLevel()).isEqualTo(Level.WARN);
  }

  @Test
  void debugLogsTheTrace() throws Exception {
    Process child = child("server", "--debug", "--endpoint=mysql://u:geheim@h/db");
    assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(child.errorReader().lines())
        .anyMatch(line -> line.contains("OpenException"))
        .noneMatch(line -> line.contains("geheim"));
    assertThat(child.exitValue()).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({"plain", "json"})
  void aChildServesUntilASignal(String format) throws Exception {
    Process child =
        child(
            "server",
            "--listen-address=127.0.0.1:0",
            "--metrics-bind-address=127.0.0.1:0",
            "--log-format=" + format);
    try (BufferedReader err = child.errorReader()) {
      String started = err.readLine();
      assertThat(started).contains("serves etcd 3.6.14 on 127.0.0.1:0");
      if (format.equals("json")) {
        assertThat(started).startsWith("{").contains("\"level\":\"INFO\"").endsWith("}");
      } else {
        assertThat(started).matches("\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z INFO  RunningServer: .*");
      }
      child.toHandle().destroy(); // which, unlike the process itself, leaves the streams open
      assertThat(err.readLine()).contains("Shutting down.");
      assertThat(err.readLine()).contains("Shut down.");
      assertThat(err.readLine()).isNull();
    }
    assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(child.exitValue()).isZero();
    assertThat(child.inputReader().lines()).isEmpty();
  }

  @Test
  void aChildThatHasLostItsDatabaseSaysSoAndEndsWithACodeOfItsOwn() throws Exception {
    Process child =
        child("server", "--listen-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0");
    try (BufferedReader err = child.errorReader()) {
      assertThat(err.readLine()).contains("serves etcd");
      child.getOutputStream().close();
      assertThat(err.readLine())
          .contains("ERROR")
          .endsWith(
              "This server ends, to be started again by what supervises it: Another server has"
                  + " taken the database over.");
      assertThat(err.readLine()).contains("Shut down.");
      assertThat(err.readLine()).isNull();
    }
    assertThat(child.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(child.exitValue()).isEqualTo(4);
  }
}
