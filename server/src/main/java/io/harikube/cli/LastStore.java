package io.harikube.cli;

import static java.util.Objects.requireNonNull;

import io.harikube.sql.Endpoint;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a server remembers of the store that it used last.
 *
 * @param clusterId not 0
 * @param revision one that it had reached; it may have got further
 * @param endpoint where it was, without user and password
 */
record LastStore(long clusterId, long revision, String endpoint) {
  private static final String HEADER = "# harikube --owner-file, version 1: the store used last";
  private static final String MAGIC = "# harikube --owner-file";
  private static final int MAX_BYTES = 64 << 10;

  private static final Pattern TEXT =
      Pattern.compile(
          Pattern.quote(HEADER)
              + "\ncluster-id ([0-9a-f]{1,16})\nrevision ([1-9][0-9]{0,12})\nendpoint (\\S[^\n]*)\n");

  private String text() {
    return "%s\ncluster-id %s\nrevision %d\nendpoint %s\n"
        .formatted(HEADER, Long.toHexString(clusterId), revision, endpoint);
  }

  private static @Nullable LastStore parse(String text) {
    Matcher matcher = TEXT.matcher(text);
    if (!matcher.matches()) {
      return null;
    }
    long clusterId = Long.parseUnsignedLong(matcher.group(1), 16);
    return clusterId == 0
        ? null
        : new LastStore(clusterId, Long.parseLong(matcher.group(2)), matcher.group(3));
  }

  /** An endpoint in one line; two for the same place are equal. */
  static String text(Endpoint endpoint) {
    return switch (endpoint) {
      case Endpoint.Sqlite(Path file) -> {
        StringBuilder path = new StringBuilder("sqlite://");
        for (char c : file.toAbsolutePath().normalize().toString().toCharArray()) {
          if (c < ' ' || "%?#".indexOf(c) >= 0) {
            path.append("%%%02X".formatted((int) c));
          } else {
            path.append(c);
          }
        }
        yield path.toString();
      }
      case Endpoint.Postgres postgres -> postgres.toString();
    };
  }

  /**
   * Where it is remembered. Nothing is overwritten that has not been written by a server.
   *
   * @param named the file as the operator calls it
   * @param file the same behind all links
   */
  record Place(Path named, Path file) {
    private static final Set<PosixFilePermission> FILE =
        PosixFilePermissions.fromString("rw-------");
    private static final FileAttribute<?> FOLDER =
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    static Place of(Path named) throws StartException {
      Path file = named.toAbsolutePath();
      try {
        return new Place(named, Files.exists(file) ? file.toRealPath() : file);
      } catch (IOException e) {
        throw new StartException("The file " + named + " of --owner-file cannot be found.", e);
      }
    }

    /**
     * What is there; null if nothing is.
     *
     * @param repair whether a damaged file is as good as none
     * @throws StartException also if nothing could be written there
     */
    @Nullable LastStore read(boolean repair) throws StartException {
      Path at = file.getParent();
      while (at != null && !Files.exists(at)) {
        at = at.getParent();
      }
      if (at == null || !Files.isDirectory(at) || !Files.isWritable(at)) {
        throw new StartException(
            "The folder " + at + " for the file " + named + " of --owner-file cannot be written.");
      }
      String text = content();
      LastStore last = text == null ? null : parse(text);
      if (text != null && last == null && !repair) {
        throw new StartException(
            "The file "
                + named
                + " of --owner-file is damaged, or of a newer server: give --accept-store once if the"
                + " store at the endpoint is the right one.");
      }
      return last;
    }

    /** Null if there is no file. */
    private @Nullable String content() throws StartException {
      if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
        return null;
      }
      String text = "";
      if (Files.isRegularFile(file)) {
        try (InputStream in = Files.newInputStream(file)) {
          text = new String(in.readNBytes(MAX_BYTES), StandardCharsets.UTF_8);
        } catch (IOException e) {
          throw new StartException("The file " + named + " of --owner-file cannot be read.", e);
        }
      }
      if (!text.startsWith(MAGIC)) {
        throw new StartException(
            "The file "
                + named
                + " of --owner-file is something else than what a server writes there: name another,"
                + " or delete it.");
      }
      return text;
    }

    /** Writes it, durably: whoever reads the file finds this or what was there before. */
    void write(LastStore last) throws IOException, StartException {
      content();
      Path folder = requireNonNull(file.getParent());
      Files.createDirectories(folder, FOLDER);
      Path fresh = file.resolveSibling(file.getFileName() + ".new");
      Files.deleteIfExists(fresh);
      try (FileChannel channel =
          FileChannel.open(
              fresh,
              Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              PosixFilePermissions.asFileAttribute(FILE))) {
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(last.text());
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
        channel.force(true);
      }
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
        channel.force(true);
      }
    }

    /** A sentence. */
    String cannotWrite(IOException e) {
      String reason = e instanceof FileSystemException system ? system.getReason() : e.getMessage();
      if (reason == null) {
        // As "Access Denied Exception".
        String name = e.getClass().getSimpleName().replaceAll("(?<=[a-z])(?=[A-Z])", " ");
        reason = name.replaceAll(" Exception$", "").toLowerCase(Locale.ROOT);
      }
      return "The file " + named + " of --owner-file cannot be written: " + reason + ".";
    }
  }
}
