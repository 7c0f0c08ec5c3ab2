package io.harikube.e2e;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** A virtual cluster of a release's manifest, reached by its Service, without a port-forward. */
final class VirtualCluster implements AutoCloseable {
  private final User user;
  private final String manifest;
  private final Path kubeconfig;
  private final KubernetesClient client;

  /**
   * Applies a manifest and waits until the API answers.
   *
   * @param database sqlite or postgres: that one with the PostgreSQL that comes along for trying it
   *     out
   * @param flavour "" for one whose pods run on the host, "-api" for one without pods
   */
  VirtualCluster(User user, String database, String flavour) {
    this.user = user;
    manifest = "vcluster-harikube-" + database + flavour + "-release-$VERSION.yaml";
    unpack();
    if (database.equals("postgres")) {
      user.types(
          """
          kubectl create namespace harikube
          kubectl -n harikube create secret generic harikube-database \\
            --from-literal=endpoint=postgres://harikube@harikube-postgres:5432/harikube \\
            --from-literal=password="$(head -c 18 /dev/urandom | base64)"
          kubectl apply -f postgres-release-$VERSION.yaml
          """);
    }
    user.types("kubectl apply -f " + manifest);
    user.types(
        "kubectl -n harikube wait statefulset/harikube --for=jsonpath='{.status.readyReplicas}'=1 --timeout=5m");
    kubeconfig = user.home().resolve("virtual.kubeconfig");
    String address =
        user.onHost(
            "-n", "harikube", "get", "service", "harikube", "--output=jsonpath={.spec.clusterIP}");
    user.types(
        "vcluster connect harikube -n harikube --print --server https://"
            + address
            + " >"
            + kubeconfig);
    client =
        new KubernetesClientBuilder()
            .withConfig(Config.fromKubeconfig(kubeconfig.toFile()))
            .build();
    serves(Duration.ofMinutes(2));
    kubectl(
        "apply",
        "--filename=" + user.folder().resolve("skip-controller-manager-metadata-caching.yaml"));
  }

  private void unpack() {
    Path archive = Artifacts.manifests();
    String name = String.valueOf(archive.getFileName());
    user.set("VERSION", name.replaceAll("harikube-manifests-|\\.tar\\.gz", ""));
    try {
      Files.copy(archive, user.home().resolve(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    user.types("tar -xzf " + name + "; cd harikube-manifests-$VERSION");
  }

  /** Waits until its API answers. */
  void serves(Duration atMost) {
    Await.until("the virtual cluster answers", atMost, () -> "ok".equals(client.raw("/readyz")));
  }

  KubernetesClient client() {
    return client;
  }

  /** Runs kubectl in it, which must succeed. */
  String kubectl(String... arguments) {
    String[] all = new String[arguments.length + 1];
    all[0] = "--kubeconfig=" + kubeconfig;
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    return user.kubectl(all);
  }

  /** Removes it, and the PostgreSQL that came along. */
  @Override
  public void close() {
    client.close();
    user.types(
        "kubectl delete --ignore-not-found --timeout=5m -f postgres-release-$VERSION.yaml -f "
            + manifest);
  }
}
