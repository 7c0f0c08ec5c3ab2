package io.harikube.sql;

import static java.util.Map.entry;

import io.harikube.tls.TlsException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of a PostgreSQL endpoint: those of libpq that have a counterpart, and those of
 * pgjdbc that a store can live with. Others are refused rather than ignored; so are those that name
 * classes or change what SQL means.
 */
final class PostgresParameters {

  /** A parameter under the name that pgjdbc gives it, and the values that it takes. */
  private record Parameter(String name, Pattern values) {}

  private static final Pattern TEXT = Pattern.compile(".*", Pattern.DOTALL);
  private static final Pattern NUMBER = Pattern.compile("-?[0-9]{1,9}");
  private static final Pattern TRUTH = Pattern.compile("true|false");
  private static final Pattern SSL_MODES =
      Pattern.compile("disable|allow|prefer|require|verify-ca|verify-full");

  private static final Map<String, Parameter> PARAMETERS =
      Map.ofEntries(
          entry("user", new Parameter("user", TEXT)),
          entry("password", new Parameter("password", TEXT)),
          entry("sslmode", new Parameter("sslmode", SSL_MODES)),
          entry("sslrootcert", new Parameter("sslrootcert", TEXT)),
          entry("sslcert", new Parameter("sslcert", TEXT)),
          entry("sslkey", new Parameter("sslkey", TEXT)),
          entry("sslpassword", new Parameter("sslpassword", TEXT)),
          entry(
              "sslnegotiation",
              new Parameter("sslNegotiation", Pattern.compile("postgres|direct"))),
          entry("application_name", new Parameter("ApplicationName", TEXT)),
          entry("applicationname", new Parameter("ApplicationName", TEXT)),
          entry("connect_timeout", new Parameter("connectTimeout", NUMBER)),
          entry("connecttimeout", new Parameter("connectTimeout", NUMBER)),
          entry("sockettimeout", new Parameter("socketTimeout", NUMBER)),
          entry("logintimeout", new Parameter("loginTimeout", NUMBER)),
          entry("cancelsignaltimeout", new Parameter("cancelSignalTimeout", NUMBER)),
          entry("tcpkeepalive", new Parameter("tcpKeepAlive", TRUTH)),
          entry("search_path", new Parameter("currentSchema", TEXT)),
          entry("currentschema", new Parameter("currentSchema", TEXT)),
          entry("options", new Parameter("options", TEXT)),
          entry(
              "channel_binding",
              new Parameter("channelBinding", Pattern.compile("disable|prefer|require"))),
          entry(
              "channelbinding",
              new Parameter("channelBinding", Pattern.compile("disable|prefer|require"))),
          entry("require_auth", new Parameter("requireAuth", TEXT)),
          entry(
              "gssencmode",
              new Parameter("gssEncMode", Pattern.compile("disable|allow|prefer|require"))),
          entry("hostrecheckseconds", new Parameter("hostRecheckSeconds", NUMBER)),
          entry("loadbalancehosts", new Parameter("loadBalanceHosts", TRUTH)),
          entry(
              "targetservertype",
              new Parameter("targetServerType", Pattern.compile("any|primary"))),
          entry("preparethreshold", new Parameter("prepareThreshold", NUMBER)),
          entry(
              "preparedstatementcachequeries",
              new Parameter("preparedStatementCacheQueries", NUMBER)),
          entry(
              "preparedstatementcachesizemib",
              new Parameter("preparedStatementCacheSizeMiB", NUMBER)),
          entry("sendbuffersize", new Parameter("sendBufferSize", NUMBER)),
          entry("receivebuffersize", new Parameter("receiveBufferSize", NUMBER)));

  /** The encodings of private keys that pgjdbc reads by itself. */
  private static final Pattern PGJDBC_KEY = Pattern.compile(".*\\.(p12|pfx|pk8|der)");

  private PostgresParameters() {}

  static OpenException unixSocket() {
    return new OpenException(
        "The endpoint names a unix socket, which the PostgreSQL driver cannot use; name a host.");
  }

  /** Puts the parameters of an endpoint under pgjdbc's names. */
  static void put(Map<String, String> query, Properties properties) throws OpenException {
    properties.setProperty("ApplicationName", "harikube");
    properties.setProperty("tcpKeepAlive", "true");
    properties.setProperty("targetServerType", "primary");
    for (Map.Entry<String, String> one : query.entrySet()) {
      String name = one.getKey().toLowerCase(Locale.ROOT);
      String value = one.getValue();
      switch (name) {
        case "host" -> throw value.startsWith("/") ? unixSocket() : misplaced("host");
        case "port", "dbname" -> throw misplaced(name);
        case "keepalives" ->
            properties.setProperty("tcpKeepAlive", value.equals("0") ? "false" : "true");
        case "target_session_attrs" -> properties.setProperty("targetServerType", session(value));
        case "load_balance_hosts" ->
            properties.setProperty("loadBalanceHosts", String.valueOf(value.equals("random")));
        default -> {
          Parameter parameter = PARAMETERS.get(name);
          if (parameter == null) {
            throw EndpointParser.unknownParameter(one.getKey(), "PostgreSQL");
          }
          if (!parameter.values.matcher(value).matches()) {
            throw new OpenException(
                "The endpoint's parameter \"" + name + "\" has a value that it cannot take.");
          }
          properties.setProperty(parameter.name, value);
        }
      }
    }
  }

  private static OpenException misplaced(String name) {
    return new OpenException(
        "The endpoint's parameter \""
            + name
            + "\" belongs in front of the parameters, as in postgres://user@host:port/database.");
  }

  private static String session(String value) throws OpenException {
    return switch (value) {
      case "any" -> "any";
      case "read-write", "primary" -> "primary";
      default ->
          throw new OpenException(
              "The endpoint's parameter \"target_session_attrs\" has to be any, read-write or"
                  + " primary: a store writes.");
    };
  }

  /**
   * Settles how the connection is protected. Files without an sslmode mean verify-full, as in kine;
   * {@code require} with an authority means verify-ca, as in libpq. PEM files are read by {@link
   * PostgresSocketFactory}, since pgjdbc reads only some of their encodings.
   */
  static void tls(EndpointParser.Extras extras, Properties properties) throws OpenException {
    putFile(properties, "sslrootcert", extras.caFile());
    putFile(properties, "sslcert", extras.certFile());
    putFile(properties, "sslkey", extras.keyFile());
    String mode = properties.getProperty("sslmode");
    boolean files = properties.containsKey("sslrootcert") || properties.containsKey("sslcert");
    if (extras.skipVerify()) {
      if (mode != null && mode.startsWith("verify")) {
        throw new OpenException(
            "--skip-verify contradicts the endpoint's sslmode \"" + mode + "\".");
      }
      properties.remove("sslrootcert");
      files = properties.containsKey("sslcert");
      if (mode == null) {
        properties.setProperty("sslmode", "require");
      }
    } else if (mode == null && files) {
      properties.setProperty("sslmode", "verify-full");
    } else if ("require".equals(mode) && properties.containsKey("sslrootcert")) {
      properties.setProperty("sslmode", "verify-ca");
    }
    String key = properties.getProperty("sslkey", "");
    if ((files || !key.isEmpty()) && !PGJDBC_KEY.matcher(key.toLowerCase(Locale.ROOT)).matches()) {
      try {
        PostgresSocketFactory.files(properties);
      } catch (TlsException e) {
        throw new OpenException(String.valueOf(e.getMessage()), e);
      }
      properties.setProperty("sslfactory", PostgresSocketFactory.class.getName());
    }
  }

  private static void putFile(Properties properties, String name, @Nullable Path file) {
    if (file != null && !properties.containsKey(name)) {
      properties.setProperty(name, file.toString());
    }
  }
}
