package io.harikube.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A machine of the test's own, of the kernel's namespaces: processes, mounts, network, host name. A
 * cable connects it with the machine that the test runs on.
 *
 * <p>It leaves nothing behind, however the test ends: its first process reads from a pipe that only
 * the test holds open, and with that process the kernel takes all others, the mounts, the
 * interfaces and the rules of its firewall away. Only its control groups and the folders that were
 * missing to mount something over are left after a kill -9; the next start removes them. It needs
 * root.
 */
final class Machine implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Machine.class);
  private static final Path CGROUPS = Path.of("/sys/fs/cgroup");
  private static final String NAME = "harikube-e2e-";
  private static final String CABLE = "hke2e";
  private static final int MOST = 50;

  // What a node's programs set for the whole kernel: they get files of their own to write to.
  private static final List<String> GLOBAL_SETTINGS =
      List.of(
          "vm/overcommit_memory",
          "kernel/panic",
          "kernel/panic_on_oops",
          "kernel/keys/root_maxkeys",
          "kernel/keys/root_maxbytes");
  // Where they write whatever they are told.
  private static final List<String> FOLDERS =
      List.of("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods");

  private final int number;
  private final Path folder;
  private final Process first;
  private final long pid;

  private Machine(int number, Path folder, Process first, long pid) {
    this.number = number;
    this.folder = folder;
    this.first = first;
    this.pid = pid;
  }

  /**
   * Starts a machine that keeps its files in the folder, which outlives it.
   *
   * @throws IllegalStateException without root, or on another system than Linux
   */
  static Machine start(Path folder) {
    return start(folder, 0);
  }

  /**
   * Starts it with this number if that is free, so that the addresses of one of before are its own,
   * or else with a higher one.
   */
  static Machine start(Path folder, int number) {
    if (!"root".equals(System.getProperty("user.name"))) {
      throw new IllegalStateException("a node takes root's rights");
    }
    cleanUp();
    try {
      Files.createDirectories(folder);
      Process first =
          new ProcessBuilder(
                  List.of(
                      "unshare",
                      "--pid",
                      "--mount",
                      "--net",
                      "--ipc",
                      "--uts",
                      "--fork",
                      "--kill-child",
                      "--mount-proc",
                      "sh",
                      "-c",
                      "cat >/dev/null"))
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(folder.resolve("first.log").toFile())
              .start();
      try {
        long[] pid = new long[1];
        Await.until(
            "the machine has its first process; see " + folder.resolve("first.log"),
            Duration.ofSeconds(10),
            () -> {
              pid[0] = first.toHandle().children().findFirst().orElseThrow().pid();
              // Only then it is in its namespaces, with a /proc of its own.
              return Files.readString(Path.of("/proc/" + pid[0] + "/cmdline"))
                  .contains("cat >/dev/null");
            });
        Machine machine = new Machine(plugIn(pid[0], number), folder, first, pid[0]);
        machine.setUp();
        return machine;
      } catch (RuntimeException e) {
        first.destroyForcibly();
        throw e;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Connects it by the first cable that is free: the kernel itself decides between two that start
   * at once.
   */
  private static int plugIn(long pid, int first) {
    String said = "";
    for (int number = first; number < MOST; number++) {
      Commands.Result made =
          Commands.result(
              new ProcessBuilder(
                  "ip",
                  "link",
                  "add",
                  CABLE + number,
                  "type",
                  "veth",
                  "peer",
                  "name",
                  "eth0",
                  "netns",
                  String.valueOf(pid)));
      if (made.status() == 0) {
        return number;
      }
      said = made.output();
    }
    throw new IllegalStateException("no network for the machine: " + said);
  }

  private void setUp() throws IOException {
    String cable = CABLE + number;
    Commands.run("ip", "address", "add", outsideAddress() + "/24", "dev", cable);
    Commands.run("ip", "link", "set", cable, "up");
    run("ip", "link", "set", "lo", "up");
    run("ip", "address", "add", address() + "/24", "dev", "eth0");
    run("ip", "link", "set", "eth0", "up");
    run("ip", "route", "add", "default", "via", outsideAddress());
    Commands.run("ip", "route", "add", services() + ".0.0/16", "via", address(), "dev", cable);
    run("hostname", name());
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run");
    Files.createDirectories(folder.resolve("settings"));
    for (String setting : GLOBAL_SETTINGS) {
      Path file = folder.resolve("settings").resolve(setting.replace('/', '.'));
      Files.writeString(file, Files.readString(Path.of("/proc/sys", setting)));
      run("mount", "--bind", file.toString(), "/proc/sys/" + setting);
    }
    List<String> made = new ArrayList<>();
    for (String place : FOLDERS) {
      // /var/lib and /var/log are everywhere.
      if (!Files.exists(Path.of(place))) {
        made.add(place);
      }
      Path own = folder.resolve("machine" + place);
      Files.createDirectories(own);
      Files.write(made(number), made);
      Files.createDirectories(Path.of(place));
      run("mount", "--bind", own.toString(), place);
    }
    for (Path controller : controllers()) {
      Files.createDirectories(controller.resolve(name()));
    }
  }

  private static Path made(int number) {
    return Path.of("/tmp", NAME + number + ".made");
  }

  /** Its number, which its name and its addresses are made of. */
  int number() {
    return number;
  }

  /** The name of the machine, and of the control group that its containers are below. */
  String name() {
    return NAME + number;
  }

  /** Its IPv4 address. */
  String address() {
    return "172.29." + number + ".2";
  }

  /** The address of the machine that the test runs on, as this one sees it. */
  String outsideAddress() {
    return "172.29." + number + ".1";
  }

  /** The first two numbers of the addresses that its Services may have: the rest is its own. */
  String services() {
    return "10." + (96 + number);
  }

  /** Runs a program in it to its end, which must be a success. */
  String run(String... command) {
    return Commands.run(inside(List.of(command)));
  }

  /** A program in it that runs on. Its environment is that of the test, and what is added. */
  Program start(String name, Map<String, String> environment, List<String> command) {
    List<String> all = new ArrayList<>();
    if (!environment.isEmpty()) {
      all.add("env");
      environment.forEach((key, value) -> all.add(key + "=" + value));
    }
    all.addAll(command);
    return new Program(name, inside(all), folder.resolve("log").resolve(name + ".log"));
  }

  private List<String> inside(List<String> command) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "nsenter",
                "--target",
                String.valueOf(pid),
                "--pid",
                "--mount",
                "--net",
                "--ipc",
                "--uts",
                "--"));
    all.addAll(command);
    return all;
  }

  /** Ends everything in it at once, as a power failure does. */
  @Override
  public void close() {
    try {
      first.getOutputStream().close();
      first.waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      first.destroyForcibly();
      Thread.currentThread().interrupt();
    }
    Await.until(
        "the network of the machine is gone", Duration.ofSeconds(30), () -> !plugged(number));
    remove(number);
  }

  private static boolean plugged(int number) {
    return Files.exists(Path.of("/sys/class/net", CABLE + number));
  }

  /** Removes what machines have left whose test was killed. */
  private static void cleanUp() {
    for (int number = 0; number < MOST; number++) {
      if (!plugged(number)) {
        remove(number);
      }
    }
  }

  private static void remove(int number) {
    for (Path controller : controllers()) {
      Path group = controller.resolve(NAME + number);
      if (Files.exists(group)) {
        Await.until(
            "the control group " + group + " is gone",
            Duration.ofSeconds(30),
            () -> removed(group));
      }
    }
    Path made = made(number);
    try {
      if (Files.exists(made)) {
        for (String missing : Files.readAllLines(made)) {
          Files.deleteIfExists(Path.of(missing));
        }
        Files.delete(made);
      }
    } catch (IOException e) {
      log.warn("{} is left behind: {}", made, e.toString());
    }
  }

  private static boolean removed(Path group) throws IOException {
    try (Stream<Path> below = Files.walk(group)) {
      // A control group is a folder whose files cannot be removed, and need not be.
      for (Path each :
          below.filter(Files::isDirectory).sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
    return true;
  }

  /** The roots of the control groups: one, or one for each controller. */
  private static List<Path> controllers() {
    if (Files.exists(CGROUPS.resolve("cgroup.controllers"))) {
      return List.of(CGROUPS);
    }
    try (Stream<Path> mounted = Files.list(CGROUPS)) {
      return mounted.filter(each -> Files.exists(each.resolve("cgroup.procs"))).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a file in it has, of those that only it sees. */
  String read(String file) {
    try {
      return Files.readString(Path.of("/proc/" + pid + "/root" + file), UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
