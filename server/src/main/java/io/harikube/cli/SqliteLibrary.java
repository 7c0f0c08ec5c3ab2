package io.harikube.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.sqlite.SQLiteJDBCLoader;

/**
 * Loads SQLite so that nothing of it stays in the folder for temporary files. The driver unpacks
 * its native code there and deletes it when the JVM ends by itself, which a server does not. Once
 * it is loaded the file is not needed any more. {@code bin/harikube} has it unpacked beside the
 * jars.
 */
final class SqliteLibrary {
  private static final Logger LOG = LoggerFactory.getLogger(SqliteLibrary.class);
  private static final String UNPACKED = "org.sqlite.lib.path";
  private static final String TEMPORARY = "org.sqlite.tmpdir";

  private SqliteLibrary() {}

  static synchronized void load() {
    String unpacked = System.getProperty(UNPACKED);
    String name = System.mapLibraryName("sqlitejdbc");
    if ((unpacked != null && Files.exists(Path.of(unpacked, name)))
        || System.getProperty(TEMPORARY) != null) {
      return;
    }
    try {
      Path folder = Files.createTempDirectory("harikube-sqlite");
      System.setProperty(TEMPORARY, folder.toString());
      try {
        var _ = SQLiteJDBCLoader.initialize();
      } catch (Exception e) {
        LOG.debug("SQLite cannot be loaded yet; who opens a database says why.", e);
      } finally {
        System.clearProperty(TEMPORARY);
        delete(folder);
      }
    } catch (IOException e) {
      LOG.debug("There is no folder for temporary files.", e);
    }
  }

  private static void delete(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> list = Files.list(folder)) {
      files = list.toList();
    }
    for (Path file : files) {
      Files.delete(file);
    }
    Files.delete(folder);
  }
}
