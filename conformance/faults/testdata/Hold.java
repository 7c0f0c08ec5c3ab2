import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;

/** Another program at a SQLite database: runs statements and stays in their transaction until its input ends. */
final class Hold {
  public static void main(String[] args) throws Exception {
    try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + args[0]);
        Statement statement = connection.createStatement()) {
      statement.execute("PRAGMA busy_timeout = 30000");
      for (int i = 1; i < args.length - 1; i++) {
        statement.execute(args[i]);
      }
      // The last one is left in the middle of its rows, if it has any.
      boolean hasRows = statement.execute(args[args.length - 1]);
      ResultSet rows = hasRows ? statement.getResultSet() : null;
      if (rows != null) {
        rows.next();
      }
      System.out.println("held");
      System.in.read();
    }
  }
}
