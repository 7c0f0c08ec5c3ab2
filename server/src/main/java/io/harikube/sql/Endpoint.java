package io.harikube.sql;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Properties;
import org.jspecify.annotations.Nullable;

/** Where a store keeps its data. Made from text by {@link EndpointParser}. */
public sealed interface Endpoint {

  /**
   * A SQLite database.
   *
   * @param file the database file; it and its folder are made if they are not there
   */
  record Sqlite(Path file) implements Endpoint {
    @Override
    public String toString() {
      return "sqlite://" + file;
    }
  }

  /**
   * A PostgreSQL database.
   *
   * @param url the JDBC URL, without user and password
   * @param database the name of the database, made if the server does not have it
   * @param properties user, password and the other settings of the connection as pgjdbc names them
   * @param passwordFile takes the place of the password; read whenever a connection is opened
   */
  record Postgres(String url, String database, Properties properties, @Nullable Path passwordFile)
      implements Endpoint {

    public Postgres(String url, String database, Properties properties) {
      this(url, database, properties, null);
    }

    /** The JDBC URL of another database of the same server. */
    public String urlOf(String otherDatabase) {
      return url.substring(0, url.lastIndexOf('/') + 1)
          + URLEncoder.encode(otherDatabase, StandardCharsets.UTF_8);
    }

    /** Without the properties, which hold the password. */
    @Override
    public String toString() {
      return url.substring("jdbc:".length());
    }
  }
}
