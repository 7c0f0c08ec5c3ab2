package io.harikube.e2e;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.Testcontainers;
import org.testcontainers.images.RemoteDockerImage;
import org.testcontainers.k3s.K3sContainer;
import org.testcontainers.utility.DockerImageName;
import org.testcontainers.utility.MountableFile;

/** k3s in a container of Docker, with our server as its external datastore. */
public final class K3s implements Cluster {
  private static final DockerImageName IMAGE = DockerImageName.parse("rancher/k3s:v1.35.0-k3s1");
  // As containers of Testcontainers know the machine that the test runs on.
  private static final String OUTSIDE = "host.testcontainers.internal";
  private static final String CERTIFICATES = "/store-certificates/";

  private final Path folder;
  private final Program store;
  private final K3sContainer container;
  private final KubernetesClient client;

  private K3s(Path folder) {
    this.folder = folder;
    Authority authority = new Authority(folder.resolve("pki"));
    authority.issue("store", "CN=store", List.of("localhost", OUTSIDE), List.of("127.0.0.1"));
    authority.issue("store-client", "CN=k3s", List.of(), List.of());
    int port = freePort();
    store =
        new Program(
            "store",
            List.of(
                Artifacts.program("harikube"),
                "server",
                "--endpoint=sqlite://" + folder.resolve("store/state.db"),
                "--listen-address=0.0.0.0:" + port,
                "--metrics-bind-address=0",
                "--server-cert-file=" + authority.certificate("store"),
                "--server-key-file=" + authority.key("store"),
                "--trusted-ca-file=" + authority.certificate("ca")),
            logs().resolve("store.log"));
    Testcontainers.exposeHostPorts(port);
    container =
        new K3sContainer(IMAGE)
            .withCopyFileToContainer(MountableFile.forHostPath(folder.resolve("pki")), CERTIFICATES)
            .withCommand(
                "server",
                "--disable=traefik",
                "--datastore-endpoint=https://" + OUTSIDE + ":" + port,
                "--datastore-cafile=" + CERTIFICATES + "ca.crt",
                "--datastore-certfile=" + CERTIFICATES + "store-client.crt",
                "--datastore-keyfile=" + CERTIFICATES + "store-client.key");
    container.start();
    try {
      Files.writeString(kubeconfig(), container.getKubeConfigYaml());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    client =
        new KubernetesClientBuilder()
            .withConfig(Config.fromKubeconfig(kubeconfig().toFile()))
            .build();
  }

  /** Why it cannot be, if so. */
  public static Optional<String> obstacle() {
    if (!DockerClientFactory.instance().isDockerAvailable()) {
      return Optional.of("Docker does not answer");
    }
    try {
      new RemoteDockerImage(IMAGE).get();
      return Optional.empty();
    } catch (RuntimeException e) {
      return Optional.of("the image " + IMAGE + " cannot be had: " + e.getMessage());
    }
  }

  /** Starts it in a folder, which is emptied first. */
  public static K3s start(Path folder) {
    Folders.empty(folder);
    return new K3s(folder);
  }

  private static int freePort() {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public Path kubeconfig() {
    return folder.resolve("kubeconfig");
  }

  @Override
  public KubernetesClient client() {
    return client;
  }

  @Override
  public void load(Path archive) {
    String there = "/tmp/" + archive.getFileName();
    container.copyFileToContainer(MountableFile.forHostPath(archive), there);
    try {
      var result = container.execInContainer("ctr", "-n", "k8s.io", "images", "import", there);
      if (result.getExitCode() != 0) {
        throw new IllegalStateException(archive + " is not imported: " + result.getStderr());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while importing " + archive, e);
    }
  }

  @Override
  public String outsideAddress() {
    return OUTSIDE;
  }

  @Override
  public Path logs() {
    return folder.resolve("log");
  }

  @Override
  public void close() {
    try {
      Files.createDirectories(logs());
      Files.writeString(logs().resolve("k3s.log"), container.getLogs());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      client.close();
      container.stop();
      store.stop();
    }
  }
}
