package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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
        Duration.ofMinutes(1),
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

  /** The other manifests, as docs/install.md has them. */
  @ParameterizedTest
  @CsvSource({"SQLite, -api", "PostgreSQL, ''", "PostgreSQL, -api"})
  void theOtherManifests(String chapter, String flavour) {
    String database = chapter.toLowerCase(Locale.ROOT).replace("postgresql", "postgres");
    user.types(
        install
            .block(chapter, "wait statefulset")
            .replace(
                "harikube-" + database + "-release", "harikube-" + database + flavour + "-release")
            .replace("vcluster connect harikube -n harikube\n", ""));
    user.connects("vcluster connect harikube -n harikube");
    user.types(
        """
        kubectl create namespace shop
        kubectl -n shop create configmap price --from-literal=price=7
        kubectl apply -f skip-controller-manager-metadata-caching.yaml
        kubectl -n shop create deployment till --image=localhost/harikube-e2e/workload:1
        """);
    if (flavour.isEmpty()) {
      user.types("kubectl -n shop rollout status deployment/till --timeout=2m");
      assertThat(podsOfTheHost()).isNotBlank();
    } else {
      Await.until(
          "the Deployment has its Pod, which nobody runs",
          Duration.ofMinutes(1),
          () ->
              user.kubectl(
                      "-n", "shop", "get", "pods", "--output=jsonpath={.items[*].status.phase}")
                  .equals("Pending"));
      assertThat(podsOfTheHost()).isBlank();
      assertThat(user.kubectl("get", "nodes", "--output=name")).isBlank();
    }
    user.disconnects();
    user.types(
        "kubectl delete --ignore-not-found -f postgres-release-$VERSION.yaml -f vcluster-harikube-"
            + database
            + flavour
            + "-release-$VERSION.yaml");
  }

  /**
   * A change of the arguments moves the store to PostgreSQL in the cluster, and another one back to
   * SQLite, and nothing is lost.
   */
  @Test
  void theObjectsComeAlong() throws IOException {
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
    saves();
    user.types("kubectl -n harikube rollout status statefulset/harikube-postgres --timeout=3m");
    user.types(
        "umask 077; kubectl -n harikube get secret harikube-database -o 'go-template={{.data.password | base64decode}}' >password");
    user.forwards(
        "kubectl -n harikube port-forward harikube-postgres-0 5432",
        5432,
        () ->
            user.types(
                move()
                    .getLast()
                    .replace("postgres://…", "postgres://harikube@127.0.0.1:5432/harikube")
                    .replace("password-file=…", "password-file=password")));
    // Without the flag that is for an empty database.
    List<String> postgres =
        List.of(
            "--endpoint-file=/database/endpoint", "--datastore-password-file=/database/password");
    edits(List.of("--endpoint=sqlite:///data/state.db"), postgres);
    assertThat(user.types("kubectl -n harikube logs harikube-0 -c harikube"))
        .contains("postgresql://harikube-postgres:5432/harikube");
    user.connects("vcluster connect harikube -n harikube");
    assertThat(everythingInTheShop()).isEqualTo(objects);
    user.types(
        "kubectl -n shop scale deployment/till --replicas=2; kubectl -n shop rollout status deployment/till --timeout=3m");
    user.disconnects();
    assertThat(podsOfTheHost()).contains(pod.strip());

    user.types("rm state.db");
    saves();
    user.types(install.block(MOVE, "restore -"));
    edits(postgres, List.of("--endpoint=sqlite:///data/restored.db"));
    user.types("kubectl delete -f postgres-release-$VERSION.yaml");
    user.connects("vcluster connect harikube -n harikube");
    assertThat(everythingInTheShop()).isEqualTo(objects);
    user.types("kubectl -n shop scale deployment/till --replicas=1");
    user.disconnects();
    Await.until(
        "one Pod is left",
        Duration.ofMinutes(3),
        () -> podsOfTheHost().strip().split(" ", -1).length == 1);
    assertThat(podsOfTheHost()).isNotBlank();
  }

  private List<String> move() {
    return install.block(MOVE, "snapshot save").lines().toList();
  }

  /** Writes a snapshot of the store. */
  private void saves() {
    user.forwards(install.block(MOVE, "cat /store-tls"), 2379, () -> user.types(move().getFirst()));
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

  /**
   * Types `kubectl edit`, with an editor that has other arguments in the first one's place and
   * takes the rest away, and waits for the new pod.
   */
  private void edits(List<String> arguments, List<String> others) throws IOException {
    Path editor = user.home().resolve("bin/editor");
    StringBuilder script = new StringBuilder("#!/bin/sh\nsed -i");
    for (String argument : arguments) {
      script.append(" -e '\\|^ *- ").append(argument).append("$|");
      if (argument.equals(arguments.getFirst())) {
        script
            .append("s|^\\( *\\)- .*|")
            .append(String.join("\\n", others.stream().map(each -> "\\1- " + each).toList()))
            .append("|'");
      } else {
        script.append("d'");
      }
    }
    Files.writeString(editor, script.append(" \"$1\"\n"));
    Files.setPosixFilePermissions(editor, PosixFilePermissions.fromString("rwx------"));
    user.set("KUBE_EDITOR", editor.toString());
    assertThat(user.types(install.block(MOVE, "kubectl -n harikube edit"))).contains("edited");
    user.types(install.block(MOVE, "rollout status"));
  }
}
