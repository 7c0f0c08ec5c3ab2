package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.harikube.sql.EndpointParser.Extras;
import io.harikube.tls.Certificates;
import io.harikube.tls.Certificates.Files3;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.postgresql.Driver;

class EndpointParserTest {
  @TempDir Path folder;

  private static Endpoint parse(String text) throws OpenException {
    return EndpointParser.parse(text, Extras.NONE);
  }

  private static Endpoint.Postgres postgres(String text, Extras extras) throws OpenException {
    return (Endpoint.Postgres) EndpointParser.parse(text, extras);
  }

  private static Properties properties(String text) throws OpenException {
    return postgres(text, Extras.NONE).properties();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'' | ./db/state.db",
        "sqlite:// | ./db/state.db",
        "sqlite:///var/lib/hari/state.db | /var/lib/hari/state.db",
        "SQLite://./db/state.db | ./db/state.db",
        "sqlite://state.db | state.db",
        "sqlite:///a%20b/c%25d%3F.db | /a b/c%d?.db",
        "sqlite:///a+b.db | /a+b.db",
        "sqlite:///a.db?_journal_mode=WAL&_busy_timeout=30000&cache=shared&_txlock=immediate"
            + " | /a.db",
        "sqlite://?_kine_disable_startup_vacuum | ./db/state.db"
      })
  void sqlite(String text, String file) throws Exception {
    assertThat(parse(text)).isEqualTo(new Endpoint.Sqlite(Path.of(file)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "postgres:// | localhost:5432/kubernetes",
        "postgres:///db | localhost:5432/db",
        "postgresql://h/db | h:5432/db",
        "postgres://u:p@h:1/db | h:1/db",
        "postgres://u@[::1]/db | [::1]:5432/db",
        "postgres://u@[fe80::1%25eth0]:7/db | [fe80::1%25eth0]:7/db",
        "postgres://h1:1,h2,[::1]:3/db | h1:1,h2:5432,[::1]:3/db",
        "postgres://u:p@ss@h/db | h:5432/db",
        "postgres://h/a%20b%3Fc | h:5432/a+b%3Fc",
        "postgres://h_1.example-x.org/d-b_1 | h_1.example-x.org:5432/d-b_1"
      })
  void postgresUrls(String text, String url) throws Exception {
    Endpoint.Postgres endpoint = postgres(text, Extras.NONE);
    assertThat(endpoint.url()).isEqualTo("jdbc:postgresql://" + url);
    assertThat(endpoint).hasToString("postgresql://" + url);
    assertThat(Driver.parseURL(endpoint.url(), null))
        .as("what pgjdbc makes of it")
        .containsEntry("PGDBNAME", endpoint.database());
  }

  @Test
  void anotherDatabaseOfTheSameServer() throws Exception {
    Endpoint.Postgres endpoint = postgres("postgres://h1,h2:3/db", Extras.NONE);
    assertThat(endpoint.urlOf("a/b")).isEqualTo("jdbc:postgresql://h1:5432,h2:3/a%2Fb");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "/var/lib/state.db | The endpoint does not begin with a scheme; supported are"
            + " sqlite:///path/to/file.db and postgres://user@host:port/database.",
        "mysql://u:secret@tcp(h:3306)/db | The endpoint's scheme \"mysql\" is not supported;"
            + " supported are sqlite:///path/to/file.db and postgres://user@host:port/database.",
        "nats://h | The endpoint's scheme \"nats\" is not supported; supported are"
            + " sqlite:///path/to/file.db and postgres://user@host:port/database.",
        "sqlite://:memory: | The endpoint names a SQLite database in memory, which would keep"
            + " nothing; name a file.",
        "sqlite:///var/lib/ | The endpoint names a folder, not a SQLite database file.",
        "sqlite:///a%zz | The endpoint's path holds a % without two hexadecimal digits; a % itself"
            + " is written as %25.",
        "sqlite:///a.db?mode=ro | The endpoint's parameter \"mode\" is not one for SQLite.",
        "sqlite:///a.db?cache=1&cache=2 | The endpoint sets the parameter \"cache\" twice.",
        "sqlite:///a%00b | The endpoint's path is not one of a file.",
        "postgres://u@h | The endpoint names no database; write"
            + " postgres://user@host:port/kubernetes.",
        "postgres://u@h/?sslmode=disable | The endpoint names no database; write"
            + " postgres://user@host:port/kubernetes.",
        "postgres://h/a/b | The endpoint's database must not hold a slash.",
        "postgres://h:http/db | The endpoint's port is not a number from 1 to 65535.",
        "postgres://h:65536/db | The endpoint's port is not a number from 1 to 65535.",
        "postgres://h:0/db | The endpoint's port is not a number from 1 to 65535.",
        "postgres://h:/db | The endpoint's port is not a number from 1 to 65535.",
        "postgres://::1/db | The endpoint's host has several colons; an IPv6 address stands in"
            + " brackets, as in postgres://user@[::1]:5432/database.",
        "postgres://h1,,h2/db | The endpoint's host is empty or not a host's name or address.",
        "postgres://u@:5/db | The endpoint's host is empty or not a host's name or address.",
        "postgres://h$x/db | The endpoint's host is empty or not a host's name or address.",
        "postgres://u:se/cret@h/db | The endpoint's user or password holds one of the characters"
            + " @ : / ? # %, which have to be percent-encoded.",
        "postgres://u:se?cret@h/db | The endpoint's user or password holds one of the characters"
            + " @ : / ? # %, which have to be percent-encoded.",
        "postgres://u:se#cret@h/db | The endpoint's user or password holds one of the characters"
            + " @ : / ? # %, which have to be percent-encoded.",
        "postgres://u:se%cret@h/db | The endpoint's password holds a % without two hexadecimal"
            + " digits; a % itself is written as %25.",
        "postgres://%2Fvar%2Frun/db | The endpoint names a unix socket, which the PostgreSQL driver"
            + " cannot use; name a host.",
        "postgres:///db?host=/var/run | The endpoint names a unix socket, which the PostgreSQL"
            + " driver cannot use; name a host.",
        "postgres:///db?host=h | The endpoint's parameter \"host\" belongs in front of the"
            + " parameters, as in postgres://user@host:port/database.",
        "postgres://h/db?colour=red | The endpoint's parameter \"colour\" is not one for"
            + " PostgreSQL.",
        "postgres://h/db?socketFactory=evil.Class | The endpoint's parameter \"socketFactory\" is"
            + " not one for PostgreSQL.",
        "postgres://h/db?a%20b=1 | The endpoint's parameter (unreadable) is not one for PostgreSQL.",
        "postgres://h/db?sslmode=on | The endpoint's parameter \"sslmode\" has a value that it"
            + " cannot take.",
        "postgres://h/db?prepareThreshold=x | The endpoint's parameter \"preparethreshold\" has a"
            + " value that it cannot take.",
        "postgres://h/db?target_session_attrs=read-only | The endpoint's parameter"
            + " \"target_session_attrs\" has to be any, read-write or primary: a store writes.",
        "postgres://h/db?sslrootcert=/none/ca.crt | The file /none/ca.crt does not exist."
      })
  void malformed(String text, String sentence) {
    assertThatThrownBy(() -> parse(text)).isInstanceOf(OpenException.class).hasMessage(sentence);
  }

  @Test
  void parametersUnderPgjdbcsNames() throws Exception {
    assertThat(
            properties(
                "postgres://u:p@h/db?sslmode=disable&connect_timeout=5&application_name=a%20b"
                    + "&keepalives=0&target_session_attrs=read-write&search_path=s&prepareThreshold=0"
                    + "&options=-c%20statement_timeout%3D5s&load_balance_hosts=random"))
        .containsOnly(
            Map.entry("user", "u"),
            Map.entry("password", "p"),
            Map.entry("sslmode", "disable"),
            Map.entry("connectTimeout", "5"),
            Map.entry("ApplicationName", "a b"),
            Map.entry("tcpKeepAlive", "false"),
            Map.entry("targetServerType", "primary"),
            Map.entry("currentSchema", "s"),
            Map.entry("prepareThreshold", "0"),
            Map.entry("options", "-c statement_timeout=5s"),
            Map.entry("loadBalanceHosts", "true"));
  }

  @Test
  void whereUserAndPasswordComeFrom() throws Exception {
    Map<String, String> environment = Map.of("PGUSER", "env", "PGPASSWORD", "of-env");
    Extras fromEnvironment = new Extras(null, null, null, false, null, environment);
    Extras fromFile = new Extras(null, null, null, false, "of-file", environment);

    login("postgres://u:p@h/db", fromFile, "u", "of-file");
    login("postgres://u:p@h/db", fromEnvironment, "u", "p");
    login("postgres://h/db?user=q&password=r", fromEnvironment, "q", "r");
    login("postgres://u@h/db", fromEnvironment, "u", "of-env");
    login("postgres://h/db", fromEnvironment, "env", "of-env");
    login("postgres://", Extras.NONE, "postgres", "postgres");
    assertThat(properties("postgres://u@h/db"))
        .as("left to pgjdbc, which looks into .pgpass")
        .doesNotContainKey("password");
  }

  private static void login(String text, Extras extras, String user, String password)
      throws OpenException {
    assertThat(postgres(text, extras).properties())
        .containsEntry("user", user)
        .containsEntry("password", password);
  }

  @Test
  void filesForTls() throws Exception {
    Files3 files = new Certificates().write(folder, "client");
    String own = "org.postgresql.ssl.LibPQFactory";
    String ours = PostgresSocketFactory.class.getName();
    Extras all =
        new Extras(files.authority(), files.certificate(), files.key(), false, null, Map.of());
    Extras careless =
        new Extras(files.authority(), files.certificate(), files.key(), true, null, Map.of());

    tls("postgres://h/db", Extras.NONE, "(none)", own);
    tls("postgres://h/db", all, "verify-full", ours);
    tls("postgres://h/db?sslmode=verify-ca", all, "verify-ca", ours);
    tls("postgres://h/db?sslmode=require", all, "verify-ca", ours);
    tls("postgres://h/db?sslrootcert=" + files.authority(), Extras.NONE, "verify-full", ours);
    tls("postgres://h/db?sslmode=verify-full&sslrootcert=system", Extras.NONE, "verify-full", ours);
    tls("postgres://h/db", careless, "require", ours);
    tls("postgres://h/db?sslcert=c&sslkey=k.p12&sslmode=require", Extras.NONE, "require", own);
    assertThatThrownBy(() -> postgres("postgres://h/db?sslmode=verify-full", careless))
        .hasMessage("--skip-verify contradicts the endpoint's sslmode \"verify-full\".");
    assertThatThrownBy(() -> parse("postgres://h/db?sslcert=" + files.certificate()))
        .hasMessage("There is a certificate, but no private key for it.");
  }

  private static void tls(String text, Extras extras, String mode, String factory)
      throws OpenException {
    Properties properties = postgres(text, extras).properties();
    assertThat(properties.getProperty("sslmode", "(none)")).isEqualTo(mode);
    assertThat(properties.getProperty("sslfactory", "org.postgresql.ssl.LibPQFactory"))
        .isEqualTo(factory);
  }

  @Test
  void whatIsEncodedComesBackAsItWas() throws Exception {
    Random random = new Random(1);
    for (int i = 0; i < 2000; i++) {
      String user = text(random);
      String password = text(random);
      String database = text(random).replace('/', '_');
      String text =
          "postgres://%s:%s@h:%d/%s"
              .formatted(encode(user), encode(password), 1 + i, encode(database));
      Endpoint.Postgres endpoint = postgres(text, Extras.NONE);
      assertThat(endpoint.database()).isEqualTo(database);
      assertThat(endpoint.properties())
          .containsEntry("user", user)
          .containsEntry("password", password);
      assertThat(Driver.parseURL(endpoint.url(), null)).containsEntry("PGDBNAME", database);
    }
  }

  @Test
  void noSentenceAndNoTextRepeatsAPassword() {
    Random random = new Random(2);
    String[] specials = {"@", ":", "/", "?", "#", "%", "&", "=", "[", ",", "]", "%2F", "+"};
    String[] ends = {"", "/", "/db", "/db?sslmode=x", "/db?y=z", ":x/db", "/db?sslmode=disable"};
    for (int i = 0; i < 5000; i++) {
      StringBuilder password = new StringBuilder("geheim");
      for (int j = random.nextInt(4); j > 0; j--) {
        password.append(specials[random.nextInt(specials.length)]).append("geheim");
      }
      String text = "postgres://u:" + password + "@h" + ends[random.nextInt(ends.length)];
      Object[] endpoint = {""};
      Throwable thrown = catchThrowable(() -> endpoint[0] = parse(text));
      if (thrown != null) {
        assertThat(thrown).isInstanceOf(OpenException.class);
        assertThat(thrown.getMessage()).as(text).doesNotContain("geheim").endsWith(".");
      }
      assertThat(String.valueOf(endpoint[0])).as(text).doesNotContain("geheim");
    }
  }

  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    for (int i = 1 + random.nextInt(8); i > 0; i--) {
      text.appendCodePoint(random.nextInt(10) == 0 ? 0x1f600 : 33 + random.nextInt(200));
    }
    return text.toString();
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
