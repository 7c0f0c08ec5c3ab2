package io.harikube.sql;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads the text that names a database, in the form of kine's {@code --endpoint}. What is malformed
 * gets one sentence, which never repeats a part of the text that may belong to a password.
 */
public final class EndpointParser {
  private static final String SQLITE_DEFAULT = "./db/state.db";
  private static final String SUPPORTED =
      "supported are sqlite:///path/to/file.db and postgres://user@host:port/database";
  private static final String ENCODE =
      "The endpoint's user or password holds one of the characters @ : / ? # %, which have to be"
          + " percent-encoded.";

  /**
   * What kine's documentation has people write into SQLite endpoints. All of it tunes what this
   * store sets by itself, so that it is accepted without effect.
   */
  private static final Set<String> SQLITE_PARAMETERS =
      Set.of(
          "_journal_mode",
          "_journal",
          "_busy_timeout",
          "_timeout",
          "_synchronous",
          "_sync",
          "_txlock",
          "_stmt_cache_size",
          "cache",
          "_kine_disable_compact_wal_checkpoint",
          "_kine_disable_wal_autocheckpoint",
          "_kine_disable_startup_vacuum");

  private static final Pattern SCHEME = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]{0,30}");
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_.-]{1,40}");
  private static final Pattern HOST = Pattern.compile("[A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.%a-z]+]");
  private static final Pattern BAD_PERCENT = Pattern.compile("%(?![0-9A-Fa-f]{2})");

  /**
   * What belongs to an endpoint, but does not stand in it.
   *
   * @param caFile the authorities of the PostgreSQL server's certificate
   * @param certFile the certificate to show to the PostgreSQL server
   * @param keyFile the private key of {@code certFile}
   * @param skipVerify do not verify the PostgreSQL server's certificate
   * @param password takes the place of a password in the endpoint
   * @param passwordFile holds {@code password}, and is read again for each connection
   * @param environment {@code PGUSER} and {@code PGPASSWORD} are looked for here
   */
  public record Extras(
      @Nullable Path caFile,
      @Nullable Path certFile,
      @Nullable Path keyFile,
      boolean skipVerify,
      @Nullable String password,
      @Nullable Path passwordFile,
      Map<String, String> environment) {

    /** Without a file for the password. */
    public Extras(
        @Nullable Path caFile,
        @Nullable Path certFile,
        @Nullable Path keyFile,
        boolean skipVerify,
        @Nullable String password,
        Map<String, String> environment) {
      this(caFile, certFile, keyFile, skipVerify, password, null, environment);
    }

    /** Nothing besides the endpoint. */
    public static final Extras NONE = new Extras(null, null, null, false, null, Map.of());

    /** Without password and environment. */
    @Override
    public String toString() {
      return "Extras[caFile=" + caFile + ", certFile=" + certFile + ", keyFile=" + keyFile + "]";
    }
  }

  private EndpointParser() {}

  /**
   * The endpoint that {@code text} names; SQLite in {@code ./db/state.db} if it is blank.
   *
   * @throws OpenException what is wrong with it
   */
  public static Endpoint parse(String text, Extras extras) throws OpenException {
    String trimmed = text.strip();
    if (trimmed.isEmpty()) {
      return new Endpoint.Sqlite(Path.of(SQLITE_DEFAULT));
    }
    int separator = trimmed.indexOf("://");
    String scheme = separator < 0 ? "" : trimmed.substring(0, separator);
    if (!SCHEME.matcher(scheme).matches()) {
      throw new OpenException("The endpoint does not begin with a scheme; " + SUPPORTED + ".");
    }
    String rest = trimmed.substring(separator + "://".length());
    return switch (scheme.toLowerCase(Locale.ROOT)) {
      case "sqlite" -> sqlite(rest);
      case "postgres", "postgresql" -> postgres(rest, extras);
      default ->
          throw new OpenException(
              "The endpoint's scheme \"" + scheme + "\" is not supported; " + SUPPORTED + ".");
    };
  }

  private static Endpoint.Sqlite sqlite(String rest) throws OpenException {
    int question = rest.indexOf('?');
    String encoded = question < 0 ? rest : rest.substring(0, question);
    for (String name : query(question < 0 ? "" : rest.substring(question + 1)).keySet()) {
      if (!SQLITE_PARAMETERS.contains(name)) {
        throw unknownParameter(name, "SQLite");
      }
    }
    String path = decode(encoded, "path");
    if (path.isEmpty()) {
      path = SQLITE_DEFAULT;
    }
    if (path.contains(":memory:")) {
      throw new OpenException(
          "The endpoint names a SQLite database in memory, which would keep nothing; name a file.");
    }
    if (path.endsWith("/")) {
      throw new OpenException("The endpoint names a folder, not a SQLite database file.");
    }
    try {
      return new Endpoint.Sqlite(Path.of(path));
    } catch (InvalidPathException e) {
      throw new OpenException("The endpoint's path is not one of a file.", e);
    }
  }

  private static Endpoint.Postgres postgres(String rest, Extras extras) throws OpenException {
    int end = indexOfAny(rest, "/?#");
    String authority = rest.substring(0, end);
    String tail = rest.substring(end);
    int question = tail.indexOf('?');
    String path = question < 0 ? tail : tail.substring(0, question);
    if (path.indexOf('@') >= 0 || path.indexOf('#') >= 0) {
      throw new OpenException(ENCODE);
    }
    int at = authority.lastIndexOf('@');
    String login = at < 0 ? "" : authority.substring(0, at);
    // An @ behind the hosts belongs to a password that was cut apart: repeat nothing of it.
    boolean suspicious = at < 0 && tail.indexOf('@') >= 0;
    String hosts = hosts(authority.substring(at + 1), suspicious);

    String database = decode(path.isEmpty() ? "" : path.substring(1), "database");
    boolean bare = authority.isEmpty();
    if (database.isEmpty()) {
      if (!bare) {
        throw new OpenException(
            "The endpoint names no database; write postgres://user@host:port/kubernetes.");
      }
      database = "kubernetes";
    }
    if (database.indexOf('/') >= 0) {
      throw new OpenException("The endpoint's database must not hold a slash.");
    }

    Properties properties = new Properties();
    PostgresParameters.put(query(question < 0 ? "" : tail.substring(question + 1)), properties);
    login(login, bare, extras, properties);
    PostgresParameters.tls(extras, properties);
    String url =
        "jdbc:postgresql://" + hosts + "/" + URLEncoder.encode(database, StandardCharsets.UTF_8);
    return new Endpoint.Postgres(url, database, properties, extras.passwordFile);
  }

  /** User and password: the command line's before the endpoint's before the environment's. */
  private static void login(String login, boolean bare, Extras extras, Properties properties)
      throws OpenException {
    int colon = login.indexOf(':');
    String user = decode(colon < 0 ? login : login.substring(0, colon), "user");
    String password = colon < 0 ? "" : decode(login.substring(colon + 1), "password");
    putFirst(properties, "user", null, user, extras.environment.get("PGUSER"), "postgres");
    putFirst(
        properties,
        "password",
        extras.password,
        password,
        extras.environment.get("PGPASSWORD"),
        bare ? "postgres" : null);
  }

  /** What a parameter of the endpoint has set already stays, unless {@code strongest} is there. */
  private static void putFirst(
      Properties properties,
      String name,
      @Nullable String strongest,
      String written,
      @Nullable String environment,
      @Nullable String fallback) {
    String parameter = properties.getProperty(name);
    for (String value :
        new @Nullable String[] {strongest, written, parameter, environment, fallback}) {
      if (value != null && !value.isEmpty()) {
        properties.setProperty(name, value);
        return;
      }
    }
    properties.remove(name);
  }

  /** The hosts with their ports, as a JDBC URL wants them. */
  private static String hosts(String text, boolean suspicious) throws OpenException {
    if (text.isEmpty()) {
      return "localhost:5432";
    }
    List<String> hosts = new ArrayList<>();
    for (String one : text.split(",", -1)) {
      if (one.startsWith("/") || one.toLowerCase(Locale.ROOT).startsWith("%2f")) {
        throw PostgresParameters.unixSocket();
      }
      int bracket = one.indexOf(']');
      int colon = one.indexOf(':', Math.max(bracket, 0));
      String host = colon < 0 ? one : one.substring(0, colon);
      String port = colon < 0 ? "5432" : one.substring(colon + 1);
      if (bracket < 0 && port.indexOf(':') >= 0 && !suspicious) {
        throw new OpenException(
            "The endpoint's host has several colons; an IPv6 address stands in brackets, as in"
                + " postgres://user@[::1]:5432/database.");
      }
      if (suspicious && (!HOST.matcher(host).matches() || !isPort(port))) {
        throw new OpenException(ENCODE);
      }
      if (!HOST.matcher(host).matches()) {
        throw new OpenException("The endpoint's host is empty or not a host's name or address.");
      }
      if (!isPort(port)) {
        throw new OpenException("The endpoint's port is not a number from 1 to 65535.");
      }
      hosts.add(host + ":" + port);
    }
    return String.join(",", hosts);
  }

  private static boolean isPort(String text) {
    return text.matches("[0-9]{1,5}")
        && Integer.parseInt(text) >= 1
        && Integer.parseInt(text) <= 65535;
  }

  private static Map<String, String> query(String text) throws OpenException {
    Map<String, String> parameters = new LinkedHashMap<>();
    for (String pair : text.split("&", -1)) {
      if (pair.isEmpty()) {
        continue;
      }
      int equals = pair.indexOf('=');
      String name = decode(equals < 0 ? pair : pair.substring(0, equals), "parameter");
      String value = equals < 0 ? "" : decode(pair.substring(equals + 1), "parameter");
      if (parameters.put(name, value) != null) {
        throw new OpenException("The endpoint sets the parameter " + shown(name) + " twice.");
      }
    }
    return parameters;
  }

  static OpenException unknownParameter(String name, String database) {
    return new OpenException(
        "The endpoint's parameter " + shown(name) + " is not one for " + database + ".");
  }

  /** A parameter's name, unless it may be a part of a password that was not percent-encoded. */
  private static String shown(String name) {
    return NAME.matcher(name).matches() ? "\"" + name + "\"" : "(unreadable)";
  }

  private static String decode(String text, String part) throws OpenException {
    if (BAD_PERCENT.matcher(text).find()) {
      throw new OpenException(
          "The endpoint's "
              + part
              + " holds a % without two hexadecimal digits; a % itself is written as %25.");
    }
    return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
  }

  private static int indexOfAny(String text, String characters) {
    for (int i = 0; i < text.length(); i++) {
      if (characters.indexOf(text.charAt(i)) >= 0) {
        return i;
      }
    }
    return text.length();
  }
}
