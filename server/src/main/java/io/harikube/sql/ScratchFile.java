package io.harikube.sql;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.DriverManager;
import java.sql.SQLException;

/**
 * A SQLite database in the folder for temporary files, for this process alone and for as long as it
 * lives: its name is taken away as soon as it is open, so that nothing is left of it however the
 * process ends.
 */
final class ScratchFile implements AutoCloseable {
  private final FileChannel channel;
  private final Session session;

  private ScratchFile(FileChannel channel, Session session) {
    this.channel = channel;
    this.session = session;
  }

  static ScratchFile create() throws IOException, SQLException {
    return create(Path.of(System.getProperty("java.io.tmpdir")));
  }

  static ScratchFile create(Path temporary) throws IOException, SQLException {
    Path folder = Files.createTempDirectory(temporary, "harikube-");
    Path file = Files.createTempFile(folder, "", ".db");
    try {
      FileChannel channel =
          FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
      try {
        return new ScratchFile(channel, connect(file));
      } catch (SQLException | RuntimeException e) {
        channel.close();
        throw e;
      }
    } finally {
      Files.deleteIfExists(file);
      Files.deleteIfExists(folder);
    }
  }

  /** A file without a name can have no journal beside it. */
  private static Session connect(Path file) throws SQLException {
    Session session =
        new Session(DriverManager.getConnection("jdbc:sqlite:" + file), ManyValues.Json::new);
    session.execute("PRAGMA journal_mode = OFF");
    session.execute("PRAGMA synchronous = OFF");
    session.execute("PRAGMA temp_store = MEMORY");
    return session;
  }

  /** The database. */
  Session session() {
    return session;
  }

  /** The bytes of the file. */
  FileChannel channel() {
    return channel;
  }

  long size() throws IOException {
    return channel.size();
  }

  /** Fills the file; nobody has used the database yet. */
  void copyFrom(InputStream in) throws IOException {
    in.transferTo(Channels.newOutputStream(channel.position(0)));
  }

  /** Hands the bytes of the file on; the database must be in no transaction. */
  void copyTo(OutputStream out) throws IOException {
    Channels.newInputStream(channel.position(0)).transferTo(out);
  }

  @Override
  public void close() throws IOException {
    try {
      session.close();
    } catch (SQLException e) {
      throw new IOException(e);
    } finally {
      channel.close();
    }
  }
}
