package io.harikube.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;

final class TestPostgresTest {

  @Test
  void comparesTextByACollationUnlessToldOtherwise() throws Exception {
    try (Connection connection = TestPostgres.shared().connect("postgres")) {
      assertThat(query(connection, "SELECT 'a' < 'B'")).isEqualTo("t");
      assertThat(query(connection, "SHOW server_encoding")).isEqualTo("UTF8");
      assertThat(query(connection, "SHOW fsync")).isEqualTo("on");
    }
  }

  @Test
  void keepsWhatWasCommittedThroughACrash() throws Exception {
    try (TestPostgres server = TestPostgres.launch()) {
      TestPostgres.Database database = server.newDatabase();
      String name = database.endpoint().database();
      try (Connection connection = server.connect(name)) {
        update(connection, "CREATE TABLE kept AS SELECT 7 AS n");
        server.kill9();
      }
      server.start();
      try (Connection connection = server.connect(name)) {
        assertThat(query(connection, "SELECT n FROM kept")).isEqualTo("7");
      }
    }
  }

  @Test
  void givesEachCallerADatabaseOfItsOwn() throws Exception {
    TestPostgres server = TestPostgres.shared();
    TestPostgres.Database one = server.newDatabase();
    TestPostgres.Database other = server.newDatabase();
    assertThat(one.url()).isNotEqualTo(other.url());
    server.drop(one);
    server.drop(other);
  }

  /** Also after a kill -9 of the process that started it, as a test run in CI may end. */
  @Test
  void diesWithTheProcessThatStartedIt() throws Exception {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process process =
        new ProcessBuilder(
                List.of(
                    java,
                    "-XX:+UseSerialGC",
                    "-cp",
                    System.getProperty("java.class.path"),
                    TestPostgres.class.getName()))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      String url = output.readLine();
      assertThat(url).matches("postgres://postgres@127\\.0\\.0\\.1:\\d+/postgres");
      String jdbc = url.replace("postgres://postgres@", "jdbc:postgresql://") + "?user=postgres";
      assertThat(accepts(jdbc)).isTrue();
      process.destroyForcibly();
      Await.until("the end of the server", () -> !accepts(jdbc));
    } finally {
      process.destroyForcibly();
    }
  }

  private static boolean accepts(String jdbc) {
    try (Connection _ = DriverManager.getConnection(jdbc)) {
      return true;
    } catch (SQLException e) {
      return false;
    }
  }

  private static String query(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      assertThat(rows.next()).isTrue();
      return rows.getString(1);
    }
  }

  private static void update(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }
}
