package io.harikube.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The user that PostgreSQL runs as: the one of the tests, unless that is root, which PostgreSQL
 * refuses; then {@code postgres} or {@code nobody}.
 *
 * @param prefix what stands before a command so that this user runs it; empty if no change is due
 */
record Unprivileged(int uid, int gid, List<String> prefix) {

  static Unprivileged get() throws IOException {
    int uid = currentUid();
    if (uid != 0) {
      return new Unprivileged(uid, -1, List.of());
    }
    String[] entry =
        passwd("postgres")
            .or(() -> passwd("nobody"))
            .orElseThrow(
                () -> new IOException("PostgreSQL refuses root; no user postgres or nobody"));
    int toUid = Integer.parseInt(entry[2]);
    int toGid = Integer.parseInt(entry[3]);
    return new Unprivileged(toUid, toGid, prefix(entry[0], toUid, toGid));
  }

  /** The user id that this process runs as. */
  static int currentUid() throws IOException {
    return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
  }

  private static List<String> prefix(String name, int uid, int gid) throws IOException {
    if (onPath("setpriv")) {
      return List.of("setpriv", "--reuid=" + uid, "--regid=" + gid, "--clear-groups");
    }
    if (onPath("runuser")) {
      return List.of("runuser", "-u", name, "--");
    }
    throw new IOException("PostgreSQL refuses root; setpriv or runuser (util-linux) is missing");
  }

  private static boolean onPath(String program) {
    String path = Optional.ofNullable(System.getenv("PATH")).orElse("/usr/sbin:/usr/bin");
    return Stream.of(path.split(":"))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  private static Optional<String[]> passwd(String name) {
    try (Stream<String> lines = Files.lines(Path.of("/etc/passwd"))) {
      return lines
          .map(line -> line.split(":", -1))
          .filter(entry -> entry.length > 3 && entry[0].equals(name))
          .findFirst();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  List<String> command(List<String> command) {
    List<String> whole = new ArrayList<>(prefix);
    whole.addAll(command);
    return whole;
  }

  void own(Path folder) throws IOException {
    if (!prefix.isEmpty()) {
      Files.setAttribute(folder, "unix:gid", gid, LinkOption.NOFOLLOW_LINKS);
      Files.setAttribute(folder, "unix:uid", uid, LinkOption.NOFOLLOW_LINKS);
    }
  }

  /** Whether the user can pass through to {@code folder}, or what of it exists. */
  boolean canReach(Path folder) throws IOException {
    if (prefix.isEmpty()) {
      return true;
    }
    for (Path at = folder.toAbsolutePath(); at != null; at = at.getParent()) {
      if (Files.exists(at)
          && !Files.getPosixFilePermissions(at).contains(PosixFilePermission.OTHERS_EXECUTE)) {
        return false;
      }
    }
    return true;
  }
}
