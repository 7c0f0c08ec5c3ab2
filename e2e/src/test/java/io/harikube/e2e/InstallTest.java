package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What README.md and docs/install.md tell a user to type, typed. */
@Tag("node")
@ExtendWith(Hosts.class)
class InstallTest {
  private static final String CHAPTER = "Install as a vCluster";

  private final Book readme = new Book("README.md");
  private User user;

  InstallTest(Cluster host) {
    user = new User(host, Hosts.FOLDER.resolve("user"));
  }

  @BeforeEach
  void unpack() throws Exception {
    String archive = Artifacts.manifests().getFileName().toString();
    user.set("VERSION", archive.replaceAll("harikube-manifests-|\\.tar\\.gz", ""));
    java.nio.file.Files.copy(Artifacts.manifests(), user.home().resolve(archive));
  }

  @AfterEach
  void close() {
    user.close();
  }

  @Test
  void readme() {
    user.types(readme.block(CHAPTER, "tar -xzf"));
    user.connects(readme.block(CHAPTER, "vcluster connect"));
    assertThat(user.types(readme.block(CHAPTER, "get namespaces"))).contains("kube-system");
    user.types(readme.block(CHAPTER, "kubectl delete -f"));
    assertThat(user.onHost("get", "namespace", "harikube", "--ignore-not-found")).isEmpty();
  }
}
