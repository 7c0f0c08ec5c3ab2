package io.harikube.cli;

import io.harikube.sql.Endpoint;
import io.harikube.sql.EndpointParser;
import io.harikube.sql.OpenException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that name the database. */
final class DatastoreOptions {
  @Option(
      names = "--endpoint",
      paramLabel = "<url>",
      description =
          "The database: sqlite:///path/to/file.db or postgres://user@host:port/database."
              + " By default ./db/state.db.")
  @Nullable String endpoint;

  @Option(
      names = "--endpoint-file",
      paramLabel = "<file>",
      description = "A file that holds the endpoint, instead of --endpoint.")
  @Nullable Path endpointFile;

  @Option(
      names = "--datastore-password-file",
      paramLabel = "<file>",
      description =
          "A file that holds the PostgreSQL password. It may also stand in"
              + " HARIKUBE_DATASTORE_PASSWORD, in the endpoint, in PGPASSWORD or in .pgpass, the"
              + " first of these that has one.")
  @Nullable Path passwordFile;

  @Option(
      names = "--ca-file",
      paramLabel = "<file>",
      description = "The authorities of the PostgreSQL server's certificate.")
  @Nullable Path caFile;

  @Option(
      names = "--cert-file",
      paramLabel = "<file>",
      description = "The certificate to show to the PostgreSQL server.")
  @Nullable Path certFile;

  @Option(
      names = "--key-file",
      paramLabel = "<file>",
      description = "The private key of --cert-file.")
  @Nullable Path keyFile;

  @Option(
      names = "--skip-verify",
      description = "Do not verify the PostgreSQL server's certificate.")
  boolean skipVerify;

  /** The database that the options name. */
  Endpoint endpoint(Map<String, String> environment) throws StartException, OpenException {
    String text = endpoint == null ? "" : endpoint;
    if (endpointFile != null) {
      if (!text.isEmpty()) {
        throw new StartException("Give --endpoint or --endpoint-file, not both.");
      }
      text = read("--endpoint-file", endpointFile);
    }
    String password = environment.get("HARIKUBE_DATASTORE_PASSWORD");
    if (passwordFile != null) {
      password = read("--datastore-password-file", passwordFile);
    }
    return EndpointParser.parse(
        text,
        new EndpointParser.Extras(
            caFile, certFile, keyFile, skipVerify, password, passwordFile, environment));
  }

  private static String read(String option, Path file) throws StartException {
    try {
      String text = Files.readString(file).strip();
      if (text.isEmpty()) {
        throw new StartException("The file " + file + " of " + option + " is empty.");
      }
      return text;
    } catch (IOException e) {
      throw new StartException("The file " + file + " of " + option + " cannot be read.", e);
    }
  }
}
