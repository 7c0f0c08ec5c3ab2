package io.harikube.testing;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What a crash would leave of a SQLite database in use: the database and its write-ahead log, the
 * last commit perhaps half written, without the index of the log, which is only memory.
 *
 * <p>The two files have to belong together. While no checkpoint goes on, the database does not
 * change and the log only grows, so any copy of them does. The index says whether a checkpoint went
 * on meanwhile (sqlite.org/walformat.html, "The WAL-Index File Format"); then the copy is made
 * again.
 *
 * <p>Another process does the copying: closing a file that SQLite has open in this one would lose
 * the locks on it.
 */
final class SqliteImage {
  private static final int ATTEMPTS = 200;
  private static final int INDEX_HEADER = 136;
  private static final int SALT = 32;
  private static final int BACKFILLED = 96;
  private static final int BACKFILL_ATTEMPTED = 128;
  private static final String COPY =
      """
      head -c 136 "$1-shm" >"$2.before" &&
      cp "$1" "$2" &&
      cp "$1-wal" "$2-wal" &&
      head -c 136 "$1-shm" >"$2.after"
      """;

  private SqliteImage() {}

  static void copy(Path database, Path target) throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (tryCopy(database, target)) {
        return;
      }
    }
    throw new IOException("there is a checkpoint whenever a copy is made");
  }

  private static boolean tryCopy(Path database, Path target) throws IOException {
    Process copy =
        new ProcessBuilder(
                List.of("/bin/sh", "-c", COPY, "copy", database.toString(), target.toString()))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      if (copy.waitFor() != 0) {
        throw new IOException("the database could not be copied");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    Path before = target.resolveSibling(target.getFileName() + ".before");
    Path after = target.resolveSibling(target.getFileName() + ".after");
    boolean still = unchanged(Files.readAllBytes(before), Files.readAllBytes(after));
    Files.delete(before);
    Files.delete(after);
    return still;
  }

  private static boolean unchanged(byte[] before, byte[] after) {
    if (before.length < INDEX_HEADER || after.length < INDEX_HEADER) {
      return false;
    }
    ByteBuffer one = ByteBuffer.wrap(before).order(ByteOrder.nativeOrder());
    ByteBuffer other = ByteBuffer.wrap(after).order(ByteOrder.nativeOrder());
    return one.getInt(BACKFILLED) == one.getInt(BACKFILL_ATTEMPTED)
        && one.getLong(SALT) == other.getLong(SALT)
        && one.getInt(BACKFILLED) == other.getInt(BACKFILLED)
        && one.getInt(BACKFILL_ATTEMPTED) == other.getInt(BACKFILL_ATTEMPTED);
  }
}
