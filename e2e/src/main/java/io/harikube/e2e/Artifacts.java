package io.harikube.e2e;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * What `make e2e` has built. The system property {@code harikube.build} is the folder, {@code
 * harikube.kubernetes} the minor version of Kubernetes.
 */
final class Artifacts {
  static final Path BUILD =
      Path.of(Objects.requireNonNullElse(System.getProperty("harikube.build"), "../build"))
          .toAbsolutePath()
          .normalize();
  static final String KUBERNETES =
      Objects.requireNonNullElse(System.getProperty("harikube.kubernetes"), "1.37");

  private Artifacts() {}

  /** A program of `make build`. */
  static String program(String name) {
    return there(BUILD.resolve("bin").resolve(name)).toString();
  }

  /** A program of a node: kubelet, kube-proxy, kube-scheduler. */
  static String ofNode(String name) {
    return there(
            BUILD.resolve("kubernetes").resolve(KUBERNETES + "-nodes").resolve("bin").resolve(name))
        .toString();
  }

  /** vCluster's command line. */
  static String vcluster() {
    return there(BUILD.resolve("e2e/vcluster")).toString();
  }

  static String helm() {
    return there(BUILD.resolve("e2e/bin/helm")).toString();
  }

  /** The archives of `make images`. */
  static List<Path> images() {
    Path folder = BUILD.resolve("images");
    return List.of(
        there(folder.resolve("harikube.tar")),
        there(folder.resolve("kubernetes-" + KUBERNETES + ".tar")));
  }

  /** The archive of the manifests, as a release has it. */
  static Path manifests() {
    try (Stream<Path> files = Files.list(there(BUILD.resolve("release")))) {
      return files
          .filter(
              each -> each.getFileName().toString().matches("harikube-manifests-v.*\\.tar\\.gz"))
          .findFirst()
          .orElseThrow(
              () -> new IllegalStateException("no archive of the manifests: make e2e writes it"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** An archive of an image that is not ours. */
  static Path image(String name) {
    return there(BUILD.resolve("e2e/images").resolve(name + ".tar"));
  }

  private static Path there(Path file) {
    if (!Files.exists(file)) {
      throw new IllegalStateException(file + " is not built: make e2e builds it");
    }
    return file;
  }
}
