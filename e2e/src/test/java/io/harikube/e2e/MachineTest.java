package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A node leaves nothing behind on the machine that it ran on. */
@Tag("node")
class MachineTest {
  private static final List<String> FOLDERS =
      List.of(
          "/var/lib/kubelet",
          "/var/lib/cni",
          "/var/log/containers",
          "/var/log/pods",
          "/run/containerd",
          "/run/netns",
          "/run/xtables.lock");

  @TempDir private Path folder;

  @Test
  void nothingIsLeftAfterItsEnd() throws Exception {
    SortedMap<String, String> before = state();
    Process node = start(folder.resolve("node"));
    SortedMap<String, String> meanwhile = state();
    node.getOutputStream().close(); // As Ctrl-C: the shutdown hook closes it.
    assertThat(node.waitFor(1, java.util.concurrent.TimeUnit.MINUTES)).isTrue();
    assertThat(meanwhile).as("what is looked at sees a node").isNotEqualTo(before);
    assertThat(state()).isEqualTo(before);
  }

  @Test
  void nothingIsLeftAfterKill9AndTheNextStart() throws Exception {
    SortedMap<String, String> before = state();
    Process node = start(folder.resolve("node"));
    node.destroyForcibly();
    assertThat(node.waitFor(1, java.util.concurrent.TimeUnit.MINUTES)).isTrue();
    Await.until(
        "processes, interfaces and rules are gone by themselves",
        Duration.ofSeconds(30),
        () -> withoutFolders(state()).equals(withoutFolders(before)));
    Machine.start(folder.resolve("next")).close();
    assertThat(state()).isEqualTo(before);
  }

  private static SortedMap<String, String> withoutFolders(SortedMap<String, String> state) {
    TreeMap<String, String> rest = new TreeMap<>(state);
    rest.keySet().removeIf(each -> each.startsWith("/"));
    return rest;
  }

  /** A node of a process of its own, on which a pod runs. */
  private static Process start(Path folder) throws IOException {
    Process node =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin/java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                "-Dharikube.build=" + Artifacts.BUILD,
                "-Dharikube.kubernetes=" + Artifacts.KUBERNETES,
                Main.class.getName(),
                folder.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    BufferedReader output =
        new BufferedReader(new InputStreamReader(node.getInputStream(), StandardCharsets.UTF_8));
    String line;
    do {
      line = output.readLine();
      assertThat(line).as("the node starts").isNotNull();
    } while (!line.endsWith(".kubeconfig"));
    return node;
  }

  /** What of the machine a node could change. */
  private static SortedMap<String, String> state() throws IOException {
    TreeMap<String, String> state = new TreeMap<>();
    state.put("processes", ours());
    state.put("interfaces", names(Path.of("/sys/class/net")));
    state.put("routes", Commands.run("ip", "route"));
    state.put(
        "mounts",
        String.join(
            "\n",
            Files.readAllLines(Path.of("/proc/self/mountinfo")).stream()
                .filter(each -> !each.contains("overlay"))
                .sorted()
                .toList()));
    for (String table : List.of("filter", "nat", "mangle")) {
      // With the counters of packets left out.
      state.put(
          "iptables " + table,
          Commands.run("iptables-save", "-t", table).replaceAll("(?m)^#.*\n|\\[\\d+:\\d+]", ""));
    }
    for (String setting :
        List.of(
            "vm/overcommit_memory",
            "kernel/panic",
            "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys",
            "kernel/keys/root_maxbytes",
            "kernel/hostname",
            "net/ipv4/ip_forward",
            "net/ipv4/conf/all/route_localnet",
            "net/netfilter/nf_conntrack_max")) {
      Path file = Path.of("/proc/sys", setting);
      state.put("sysctl " + setting, Files.exists(file) ? Files.readString(file) : "");
    }
    for (String each : FOLDERS) {
      Path place = Path.of(each);
      state.put(
          each, Files.isDirectory(place) ? names(place) : String.valueOf(Files.exists(place)));
    }
    state.put("/sys/fs/cgroup", groups());
    return state;
  }

  private static String ours() {
    return String.join(
        "\n",
        ProcessHandle.allProcesses()
            .map(each -> each.info().command().orElse(""))
            .filter(
                each -> each.matches(".*/(containerd.*|runc|kube.*|pause|coredns|unshare|nsenter)"))
            .sorted()
            .toList());
  }

  private static String names(Path folder) throws IOException {
    try (Stream<Path> below = Files.list(folder)) {
      return String.join(
          "\n", below.map(each -> String.valueOf(each.getFileName())).sorted().toList());
    }
  }

  private static String groups() throws IOException {
    List<String> found = new ArrayList<>();
    try (Stream<Path> below = Files.walk(Path.of("/sys/fs/cgroup"), 2)) {
      below
          .filter(Files::isDirectory)
          .map(Path::toString)
          .filter(each -> each.contains("e2e") || each.contains("kubepods"))
          .sorted()
          .forEach(found::add);
    }
    return String.join("\n", found);
  }
}
