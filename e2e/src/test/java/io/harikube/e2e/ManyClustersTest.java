package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Ten virtual clusters of the chart on one PostgreSQL, each with a database of its own. */
@Tag("node")
@ExtendWith(Hosts.class)
class ManyClustersTest {
  private static final Logger log = LoggerFactory.getLogger(ManyClustersTest.class);
  private static final int CLUSTERS = Integer.getInteger("harikube.clusters", 10);
  private static final String PASSWORD = "for-all-of-them"; // as postgres.yaml has it

  private static final Pattern SAMPLE =
      Pattern.compile(
          "container_(memory_working_set_bytes|cpu_usage_seconds_total)[{]container=\"(?:syncer|harikube)\",namespace=\"team[^}]*[}] (\\S+) (\\d+)");

  private final User user;

  ManyClustersTest(Cluster host) {
    user = new User(host, Hosts.FOLDER.resolve("many"));
  }

  private static List<String> names() {
    return IntStream.rangeClosed(1, CLUSTERS).mapToObj(each -> "team" + each).toList();
  }

  @AfterEach
  void remove() {
    List<String> namespaces = new ArrayList<>(names());
    namespaces.add("databases");
    user.types(
        "kubectl delete namespace --ignore-not-found --timeout=5m " + String.join(" ", namespaces));
    user.close();
  }

  @Test
  void areApart() throws IOException {
    String archive = String.valueOf(Artifacts.manifests().getFileName());
    String version = archive.replaceAll("harikube-manifests-|\\.tar\\.gz", "");
    Files.copy(
        Artifacts.manifests(), user.home().resolve(archive), StandardCopyOption.REPLACE_EXISTING);
    Files.copy(
        Objects.requireNonNull(ManyClustersTest.class.getResourceAsStream("postgres.yaml")),
        user.home().resolve("postgres.yaml"));
    user.set("VERSION", version);
    user.types("tar -xzf " + archive + "; cd harikube-manifests-" + version);
    user.types(
        "kubectl apply -f ~/postgres.yaml; kubectl -n databases rollout status deployment/postgres --timeout=2m");
    user.forwards(
        "kubectl -n databases port-forward deployment/postgres 15432:5432",
        15432,
        ManyClustersTest::createDatabases);

    for (String name : names()) {
      user.types(
          """
          kubectl create namespace %1$s
          kubectl -n %1$s create secret generic harikube-database --from-literal=password=%2$s \\
            --from-literal=endpoint=postgres://harikube@postgres.databases:5432/%1$s
          helm install %1$s chart/harikube-$VERSION.tgz -n %1$s --set flavour=api --set database.type=postgres \\
            --set vclusterResources.requests.cpu=20m --set server.resources.requests.cpu=20m >/dev/null
          """
              .formatted(name, PASSWORD));
    }
    for (String name : names()) {
      user.types("kubectl -n " + name + " rollout status statefulset/" + name + " --timeout=10m");
    }

    // Each has what is its own, under a name that all of them use, and nothing of the others.
    for (String name : names()) {
      user.kubectl(kubeconfig(name), "create", "namespace", "shop");
      user.kubectl(
          kubeconfig(name),
          "-n",
          "shop",
          "create",
          "configmap",
          "owner",
          "--from-literal=name=" + name);
      user.kubectl(kubeconfig(name), "create", "namespace", "only-" + name);
    }
    for (String name : names()) {
      assertThat(
              user.kubectl(
                  kubeconfig(name),
                  "-n",
                  "shop",
                  "get",
                  "configmap",
                  "owner",
                  "--output=jsonpath={.data.name}"))
          .isEqualTo(name);
      assertThat(user.kubectl(kubeconfig(name), "get", "namespaces", "--output=name").lines())
          .filteredOn(each -> each.contains("only-"))
          .containsExactly("namespace/only-" + name);
    }
    measure();
  }

  /** What one of them takes when nobody asks it anything, for docs/end-to-end.md. */
  private void measure() {
    Usage before = usage();
    Usage[] after = new Usage[1];
    Await.until(
        "the node's metrics are of half a minute later",
        Duration.ofMinutes(2),
        () -> {
          after[0] = usage();
          return after[0].milliseconds - before.milliseconds >= 30_000;
        });
    double seconds = (after[0].milliseconds - before.milliseconds) / 1000;
    log.info(
        "one of {}: {} MiB, {} millicores",
        CLUSTERS,
        Math.round(after[0].bytes / CLUSTERS / (1 << 20)),
        Math.round((after[0].cpuSeconds - before.cpuSeconds) / seconds / CLUSTERS * 1000));
  }

  /** Of all of them. */
  private record Usage(double bytes, double cpuSeconds, double milliseconds) {}

  private Usage usage() {
    String node = user.onHost("get", "nodes", "--output=jsonpath={.items[0].metadata.name}");
    String metrics =
        user.onHost("get", "--raw", "/api/v1/nodes/" + node + "/proxy/metrics/resource");
    double[] sums = new double[2];
    double milliseconds = 0;
    int containers = 0;
    for (Matcher each = SAMPLE.matcher(metrics); each.find(); ) {
      sums[each.group(1).equals("memory_working_set_bytes") ? 0 : 1] +=
          Double.parseDouble(each.group(2));
      milliseconds = Math.max(milliseconds, Double.parseDouble(each.group(3)));
      containers++;
    }
    assertThat(containers).as("two metrics of two containers of each").isEqualTo(4 * CLUSTERS);
    return new Usage(sums[0], sums[1], milliseconds);
  }

  private String kubeconfig(String name) {
    Path file = user.home().resolve(name + ".kubeconfig");
    if (!Files.exists(file)) {
      String address =
          user.onHost("-n", name, "get", "service", name, "--output=jsonpath={.spec.clusterIP}");
      user.types(
          "vcluster connect "
              + name
              + " -n "
              + name
              + " --print --server https://"
              + address
              + " >"
              + file);
    }
    return "--kubeconfig=" + file;
  }

  private static void createDatabases() {
    try (Connection connection =
            DriverManager.getConnection(
                "jdbc:postgresql://127.0.0.1:15432/harikube", "harikube", PASSWORD);
        Statement statement = connection.createStatement()) {
      for (String name : names()) {
        statement.execute("CREATE DATABASE " + name);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }
}
