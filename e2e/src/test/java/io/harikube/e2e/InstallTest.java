package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
  private static final String MOVE = "Another database";
  private static final int OBJECTS = 200;

  private final Book readme = new Book("README.md");
  private final Book install = new Book("docs/install.md");
  private final User user;

  InstallTest(Cluster host) {
    user = new User(host, Hosts.FOLDER.resolve("user"));
  }

  @BeforeEach
  void hasAnArchiveOfTheManifests() throws IOException {
    Path archive = Artifacts.manifests();
    String name = String.valueOf(archive.getFileName());
    user.set("VERSION", name.replaceAll("harikube-manifests-|\\.tar\\.gz", ""));
    Files.copy(archive, user.home().resolve(name));
    user.types(readme.block(CHAPTER, "tar -xzf"));
  }

  @AfterEach
  void nothingIsLeft() {
    user.disconnects();
    user.types(
        "kubectl delete -f vcluster-harikube-sqlite-release-$VERSION.yaml --ignore-not-found");
    assertThat(user.onHost("get", "namespace", "harikube", "--ignore-not-found")).isEmpty();
    Await.until(
        "the volumes are deleted",
        java.time.Duration.ofMinutes(1),
        () -> user.onHost("get", "persistentvolumes", "--output=name").isEmpty());
    user.close();
  }

  /** The seed's path: apply, wait, connect, the policy; then it all goes. */
  @Test
  void theReadme() {
    user.connects(readme.block(CHAPTER, "vcluster connect"));
    assertThat(user.types(readme.block(CHAPTER, "get namespaces"))).contains("kube-system");
    user.connects("vcluster connect harikube -n harikube");
    assertThat(user.kubectl("get", "mutatingadmissionpolicies", "--output=name"))
        .contains("skip-controller-manager-metadata-caching");
    user.disconnects();
    user.types(readme.block(CHAPTER, "kubectl delete -f"));
  }

  /**
   * A change of the arguments moves the store to PostgreSQL in the cluster, and nothing is lost.
   */
  @Test
  void theObjectsComeAlongToPostgres() throws IOException {
    user.connects(install.block("SQLite", "vcluster connect"));
    user.types(
        "kubectl create namespace shop\n"
            + "for i in $(seq "
            + OBJECTS
            + "); do printf -- '---\\napiVersion: v1\\nkind: ConfigMap\\nmetadata:"
            + " {name: price-%s, namespace: shop, labels: {kind: price}}\\ndata: {price: \"%s\"}\\n' $i $i; done"
            + " | kubectl apply -f - >/dev/null\n"
            + "kubectl -n shop create deployment till --image=localhost/harikube-e2e/workload:1\n"
            + "kubectl -n shop rollout status deployment/till --timeout=2m");
    String objects = everythingInTheShop();
    user.disconnects();
    String pod = podsOfTheHost();

    user.types(
        without(
            install.block("PostgreSQL", "create secret generic"),
            "create namespace",
            "vcluster-harikube",
            "wait"));
    List<String> move = install.block(MOVE, "snapshot save").lines().toList();
    user.forwards(install.block(MOVE, "cat /store-tls"), 2379, () -> user.types(move.getFirst()));
    user.types("kubectl -n harikube rollout status statefulset/harikube-postgres --timeout=3m");
    user.types(
        "umask 077; kubectl -n harikube get secret harikube-database -o 'go-template={{.data.password | base64decode}}' >password");
    user.forwards(
        "kubectl -n harikube port-forward harikube-postgres-0 5432",
        5432,
        () ->
            user.types(
                move.getLast()
                    .replace("postgres://…", "postgres://harikube@127.0.0.1:5432/harikube")
                    .replace("password-file=…", "password-file=password")));
    // Without the flag that is for an empty database.
    edits(
        "--endpoint=sqlite:///data/state.db",
        List.of(
            "--endpoint-file=/database/endpoint", "--datastore-password-file=/database/password"));
    user.types(install.block(MOVE, "rollout status"));

    assertThat(user.types("kubectl -n harikube logs harikube-0 -c harikube"))
        .contains("postgresql://harikube-postgres:5432/harikube");
    user.connects("vcluster connect harikube -n harikube");
    assertThat(everythingInTheShop()).isEqualTo(objects);
    user.types(
        "kubectl -n shop scale deployment/till --replicas=2; kubectl -n shop rollout status deployment/till --timeout=3m");
    user.disconnects();
    assertThat(podsOfTheHost()).contains(pod.strip());
    user.types("kubectl delete -f postgres-release-$VERSION.yaml");
  }

  /** Names, uids, revisions and contents. */
  private String everythingInTheShop() {
    return user.kubectl(
        "-n",
        "shop",
        "get",
        "configmaps",
        "--selector=kind=price",
        "--output=jsonpath={range .items[*]}"
            + "{.metadata.name} {.metadata.uid} {.metadata.resourceVersion} {.data.price}{\"\\n\"}{end}");
  }

  private String podsOfTheHost() {
    return user.onHost(
        "-n",
        "harikube",
        "get",
        "pods",
        "--selector=app=till",
        "--output=jsonpath={.items[*].metadata.uid}");
  }

  private static String without(String block, String... lines) {
    // A command may go on in the next line.
    return block
        .replace("\\\n", "")
        .lines()
        .filter(line -> List.of(lines).stream().noneMatch(line::contains))
        .reduce("", (one, other) -> one + other + "\n");
  }

  /** Types `kubectl edit`, with an editor that changes one argument into others. */
  private void edits(String argument, List<String> others) throws IOException {
    Path editor = user.home().resolve("bin/editor");
    Files.writeString(
        editor,
        "#!/bin/sh\nsed -i 's|^\\( *\\)- "
            + argument
            + "$|"
            + String.join("\\n", others.stream().map(each -> "\\1- " + each).toList())
            + "|' \"$1\"\n");
    Files.setPosixFilePermissions(
        editor, java.nio.file.attribute.PosixFilePermissions.fromString("rwx------"));
    user.set("KUBE_EDITOR", editor.toString());
    assertThat(user.types(install.block(MOVE, "kubectl -n harikube edit"))).contains("edited");
  }
}
