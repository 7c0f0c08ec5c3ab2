package io.harikube.sql;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;

/** What is looked at before a PostgreSQL database is taken. */
final class PostgresStart {
  /** But those of extensions. */
  private static final String TABLES =
      """
      SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'f') AND pg_table_is_visible(c.oid)
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT EXISTS (SELECT FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      ORDER BY c.relname""";

  private final PostgresDialect dialect;
  private final Endpoint.Postgres endpoint;
  private final PostgresConnector connector;
  private final Admission admission;

  PostgresStart(
      PostgresDialect dialect,
      Endpoint.Postgres endpoint,
      PostgresConnector connector,
      Admission admission) {
    this.dialect = dialect;
    this.endpoint = endpoint;
    this.connector = connector;
    this.admission = admission;
  }

  void prepare() throws OpenException {
    try (Connection connection = connector.open(PostgresDialect.CONNECT_SECONDS);
        Session session = new Session(connection, ManyValues.Array::new)) {
      Schema.check(dialect, session, admission);
      refuseBadPooling(connection);
      return;
    } catch (SQLException e) {
      if (!"3D000".equals(e.getSQLState())) {
        throw OpenException.of("cannot connect to " + endpoint + ": " + e.getMessage(), e);
      }
    }
    admission.admit(null);
    try (Connection connection =
            connector.open(endpoint.urlOf("postgres"), PostgresDialect.CONNECT_SECONDS);
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE DATABASE \"" + endpoint.database().replace("\"", "\"\"") + '"');
    } catch (SQLException e) {
      if (!"42P04".equals(e.getSQLState())) {
        throw OpenException.of(
            "cannot create the database "
                + endpoint.database()
                + " at "
                + endpoint
                + ": "
                + e.getMessage(),
            e);
      }
    }
  }

  /**
   * Prepared statements have names, which two connections must not share. Behind a pooler they do,
   * unless it knows of them: whoever sets prepareThreshold says that it does.
   */
  private void refuseBadPooling(Connection one) throws SQLException, OpenException {
    int threshold = one.unwrap(PGConnection.class).getPrepareThreshold();
    if (threshold <= 0) {
      return;
    }
    try (Connection other = connector.open(PostgresDialect.CONNECT_SECONDS);
        PreparedStatement first = one.prepareStatement("SELECT 1");
        PreparedStatement second = other.prepareStatement("SELECT 2")) {
      for (int i = 0; i <= Math.min(threshold, 10); i++) {
        first.executeQuery().close();
        second.executeQuery().close();
      }
    } catch (SQLException e) {
      if ("42P05".equals(e.getSQLState()) || "26000".equals(e.getSQLState())) {
        throw new OpenException(
            "the pooler at "
                + endpoint
                + " does not keep prepared statements apart: add prepareThreshold=0 to the endpoint",
            e);
      }
      throw e;
    }
  }

  static List<String> tables(Session session) throws SQLException {
    List<String> tables = new ArrayList<>();
    try (Statement statement = session.connection().createStatement();
        ResultSet rows = statement.executeQuery(TABLES)) {
      while (rows.next()) {
        tables.add(rows.getString(1));
      }
    }
    return tables;
  }
}
