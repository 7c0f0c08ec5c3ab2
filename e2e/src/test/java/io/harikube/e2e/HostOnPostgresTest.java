package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The store below the host is PostgreSQL's, too, and Pods run on it. */
@Tag("node")
class HostOnPostgresTest {
  @Test
  void podsRun() throws IOException {
    try (LocalNode host =
            LocalNode.start(Hosts.FOLDER.resolve("postgres-node"), LocalNode.Database.POSTGRES);
        User user = new User(host, Hosts.FOLDER.resolve("postgres-user"))) {
      assertThat(Files.readString(host.logs().resolve("store.log"))).contains("postgresql://");
      Hosts.load(host);
      try (VirtualCluster cluster = new VirtualCluster(user, "sqlite", "")) {
        cluster.kubectl(
            "create", "deployment", "till", "--image=localhost/harikube-e2e/workload:1");
        cluster.kubectl("rollout", "status", "deployment/till", "--timeout=2m");
        assertThat(
                user.onHost(
                    "-n", "harikube", "get", "pods", "--selector=app=till", "--output=name"))
            .isNotBlank();
      }
    }
  }
}
