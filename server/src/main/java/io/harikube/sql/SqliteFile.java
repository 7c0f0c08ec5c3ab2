package io.harikube.sql;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The files of a SQLite database: nobody but their owner may read them, and one process has them.
 *
 * <p>A lock on a file beside the database keeps a second server away; SQLite's own locks would let
 * it in and only slow both down. The database itself stays open to sqlite3 and to backups. The lock
 * lies beside the file itself, whatever links lead there.
 */
final class SqliteFile implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SqliteFile.class);
  private static final int MAX_LINKS = 40;
  private static final byte[] HEADER = "SQLite format 3\0".getBytes(StandardCharsets.US_ASCII);
  private static final Set<PosixFilePermission> FILE = PosixFilePermissions.fromString("rw-------");
  private static final Set<PosixFilePermission> FOLDER =
      PosixFilePermissions.fromString("rwx------");
  private static final Set<PosixFilePermission> OTHERS =
      PosixFilePermissions.fromString("------rwx");

  private final Path named;
  private Path file;
  private @Nullable FileChannel lock;

  /** What {@link #take} has made, in this order. */
  private final List<Path> made = new ArrayList<>();

  SqliteFile(Path file) {
    this.named = file.toAbsolutePath();
    this.file = named;
  }

  /** The file itself, behind all links, once it is taken. */
  Path path() {
    return file;
  }

  /** Whether there was no such file before it was taken. */
  boolean isNew() {
    return made.contains(file);
  }

  /** Takes the database for this process; makes an empty file if there is none. */
  void take() throws OpenException {
    try {
      makeFolders(named.getParent());
      file = resolve(named);
      makeFolders(file.getParent());
      boolean there = Files.exists(file);
      if (there) {
        refuseOthers();
      }
      lock();
      if (there) {
        tighten();
      } else {
        make(file);
      }
    } catch (IOException e) {
      throw new OpenException("cannot use the database file " + named + ": " + reason(e), e);
    }
  }

  private void refuseOthers() throws IOException, OpenException {
    if (!Files.isRegularFile(file)) {
      throw new OpenException("the database " + named + " is not a file");
    }
    byte[] begin;
    try (InputStream in = Files.newInputStream(file)) {
      begin = in.readNBytes(HEADER.length);
    }
    if (begin.length > 0 && !Arrays.equals(begin, HEADER)) {
      throw new OpenException("the file " + named + " is not a SQLite database");
    }
    if (isPosix() && (Integer) Files.getAttribute(file, "unix:nlink") > 1) {
      throw new OpenException(
          "the database file "
              + named
              + " has several names (hard links): SQLite would keep a log for each of them, and lose"
              + " what is in all but one");
    }
  }

  private void lock() throws IOException, OpenException {
    Path lockFile = beside(".lock");
    boolean there = Files.exists(lockFile);
    if (!there) {
      make(lockFile);
    }
    FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.WRITE);
    if (tryLock(channel) == null) {
      channel.close();
      // It is not this one's to delete.
      made.remove(lockFile);
      throw new OpenException("the database " + named + " is in use by another server");
    }
    lock = channel;
    if (there) {
      tighten(lockFile);
    }
  }

  private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException e) {
      return null;
    }
  }

  private Path beside(String suffix) {
    return file.resolveSibling(file.getFileName() + suffix);
  }

  /** SQLite gives its log the permissions of the database, when it makes it. */
  private void tighten() throws IOException {
    for (String suffix : List.of("", "-wal", "-shm")) {
      if (Files.exists(beside(suffix))) {
        tighten(beside(suffix));
      }
    }
  }

  private static void tighten(Path path) throws IOException {
    if (!isPosix()) {
      return;
    }
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(path);
    if (permissions.stream().noneMatch(OTHERS::contains)) {
      return;
    }
    try {
      Files.setPosixFilePermissions(path, FILE);
      LOG.info("every user of this machine could read {}: now only its owner can", path);
    } catch (IOException e) {
      LOG.warn("every user of this machine can read {}, and that cannot be changed", path);
    }
  }

  private void make(Path path) throws IOException {
    if (isPosix()) {
      Files.createFile(path, PosixFilePermissions.asFileAttribute(FILE));
      made.add(path);
      // Whatever the umask.
      Files.setPosixFilePermissions(path, FILE);
    } else {
      Files.createFile(path);
      made.add(path);
    }
  }

  private void makeFolders(@Nullable Path folder) throws IOException {
    if (folder == null || Files.isDirectory(folder)) {
      return;
    }
    makeFolders(folder.getParent());
    if (isPosix()) {
      Files.createDirectory(folder, PosixFilePermissions.asFileAttribute(FOLDER));
      made.add(folder);
      Files.setPosixFilePermissions(folder, FOLDER);
    } else {
      Files.createDirectory(folder);
      made.add(folder);
    }
  }

  private static boolean isPosix() {
    return java.nio.file.FileSystems.getDefault().supportedFileAttributeViews().contains("unix");
  }

  /** The file that a name stands for, also if there is none yet. */
  private static Path resolve(Path name) throws IOException {
    Path path = name;
    for (int links = 0; links < MAX_LINKS; links++) {
      if (Files.exists(path)) {
        return path.toRealPath();
      }
      if (!Files.isSymbolicLink(path)) {
        Path folder = path.getParent();
        return folder == null || !Files.exists(folder, LinkOption.NOFOLLOW_LINKS)
            ? path
            : folder.toRealPath().resolve(path.getFileName());
      }
      path = path.resolveSibling(Files.readSymbolicLink(path)).normalize();
    }
    throw new IOException("too many links");
  }

  private static String reason(IOException e) {
    String text = e.getClass().getSimpleName().replaceAll("(?<=[a-z])(?=[A-Z])", " ");
    return text.replaceAll(" Exception$", "").toLowerCase(Locale.ROOT);
  }

  /** Gives the database up; nothing has been put into it, so that what was made can go. */
  void undo() {
    for (Path path : made.reversed()) {
      try {
        if (path.equals(file)) {
          Files.deleteIfExists(beside("-wal"));
          Files.deleteIfExists(beside("-shm"));
        }
        Files.deleteIfExists(path);
      } catch (DirectoryNotEmptyException e) {
        break;
      } catch (IOException e) {
        LOG.debug("cannot delete {}: {}", path, e.getMessage());
      }
    }
    close();
  }

  /** Gives up the lock, not the files. */
  @Override
  public void close() {
    FileChannel channel = lock;
    if (channel != null) {
      lock = null;
      try {
        channel.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
