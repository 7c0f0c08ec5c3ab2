package io.harikube.sql;

import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** Opens connections to a SQLite database. */
final class SqliteConnector {
  /** The driver would ask for a generated key after every change. */
  private static final Properties DRIVER = new Properties();

  static {
    DRIVER.setProperty("jdbc.get_generated_keys", "false");
  }

  private final SqliteFile file;

  SqliteConnector(SqliteFile file) {
    this.file = file;
  }

  private static boolean isWal(Session session) throws SQLException {
    try (ResultSet rows = session.prepare("PRAGMA journal_mode").executeQuery()) {
      return rows.next() && "wal".equals(rows.getString(1));
    }
  }

  /** Makes what is to be a store's database; the mode of one that has it is not set again. */
  static void setUp(Session session) throws SQLException {
    if (SqliteDialect.number(session, "PRAGMA page_count") == 0) {
      session.execute("PRAGMA auto_vacuum = INCREMENTAL");
    }
    if (!isWal(session)) {
      session.execute("PRAGMA journal_mode = WAL");
    }
  }

  /** Takes no lock: neither a start nor a read waits for another program that writes. */
  Session open(int busyMillis) throws SQLException {
    Session session =
        new Session(
            DriverManager.getConnection("jdbc:sqlite:" + file.path(), DRIVER),
            ManyValues.Json::new);
    boolean ready = false;
    try {
      session.execute("PRAGMA busy_timeout = " + busyMillis);
      session.execute("PRAGMA synchronous = FULL");
      session.execute("PRAGMA wal_autocheckpoint = 0");
      ready = true;
      return session;
    } finally {
      if (!ready) {
        session.close();
      }
    }
  }

  Session openReader(int busyMillis) throws SQLException {
    Session session = open(busyMillis);
    session.execute("PRAGMA query_only = ON");
    session.execute("PRAGMA cache_size = -4096");
    return session;
  }

  /** Not by a statement that is kept: one that the driver has closed after an error stays so. */
  static void plainly(Session session, String sql) throws SQLException {
    try (Statement statement = session.connection().createStatement()) {
      statement.execute(sql);
    }
  }
}
