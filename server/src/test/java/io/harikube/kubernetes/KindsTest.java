package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toList;
import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.Kind.NotServed;
import io.harikube.kubernetes.Kind.Reason;
import io.harikube.kubernetes.Kind.Served;
import io.harikube.kubernetes.Samples.Line;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Where owners are; of Kubernetes' own kinds by what API servers answered. */
class KindsTest {
  private static final List<Line> SAMPLES = Samples.read("kinds.jsonl");
  private static final List<String> MINORS = List.of("1.34", "1.35", "1.36", "1.37");
  private static final Resource WIDGETS = Resource.of("example.com", "widgets");

  private final Kinds kinds = new Kinds();

  private static OwnerReference owner(String apiVersion, String kind) {
    return owner(apiVersion, kind, "a");
  }

  private static OwnerReference owner(String apiVersion, String kind, String name) {
    return new OwnerReference(apiVersion, kind, name, "u", true, true);
  }

  private static NotServed not(Reason reason) {
    return new NotServed(reason);
  }

  @Test
  void theTableSaysWhatApiServersServe() throws IOException {
    Map<String, List<Line>> byKind =
        SAMPLES.stream()
            .collect(
                groupingBy(
                    line -> (line.text("group") + " " + line.text("kind")).trim(),
                    LinkedHashMap::new,
                    toList()));
    List<String> expected = byKind.values().stream().map(KindsTest::row).toList();
    assertThat(table().stream().map(line -> line.replaceFirst(" (plain|pod|other|never) ", " ")))
        .containsExactlyElementsOf(expected);
    assertThat(expected).hasSizeGreaterThan(60);
  }

  private static List<String> table() throws IOException {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                requireNonNull(Kinds.class.getResourceAsStream("kinds.txt")),
                StandardCharsets.UTF_8))) {
      return reader
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(line -> line.replaceAll(" +", " "))
          .toList();
    }
  }

  /** The line of a kind as it has to be, without what it takes to delete. */
  private static String row(List<Line> versions) {
    Line first = versions.getFirst();
    assertThat(versions)
        .allMatch(line -> line.is("namespaced") == first.is("namespaced"))
        .allMatch(line -> line.text("path").equals(first.text("path")));
    return String.join(
        " ",
        first.text("group").isEmpty() ? "core" : first.text("group"),
        first.text("kind"),
        first.is("namespaced") ? "Namespaced" : "Cluster",
        first.text("path"),
        versions.stream().map(KindsTest::version).collect(joining(",")));
  }

  private static String version(Line line) {
    List<?> all = line.list("all");
    List<?> minors = line.list("default").isEmpty() ? all : line.list("default");
    assertThat(minors).as("what is turned on is there").isEqualTo(all);
    Object first = minors.getFirst();
    Object last = minors.getLast();
    assertThat(MINORS.subList(MINORS.indexOf(first), MINORS.indexOf(last) + 1)).isEqualTo(minors);
    return line.text("version")
        + (line.list("default").isEmpty() ? "?" : "")
        + (minors.equals(MINORS) ? "" : "@" + first + (first.equals(last) ? "" : "-" + last));
  }

  @Test
  void everyVersionThatIsServedIsResolved() {
    for (Line line : SAMPLES) {
      String group = line.text("group");
      String apiVersion = (group.isEmpty() ? "" : group + "/") + line.text("version");
      Resource resource = new Resource(line.text("path"));
      assertThat(resource.plural()).isEqualTo(line.text("resource"));
      assertThat(kinds.kindOf(resource))
          .isInstanceOfSatisfying(
              Served.class,
              served -> {
                assertThat(served.resource()).isEqualTo(resource);
                assertThat(served.namespaced()).isEqualTo(line.is("namespaced"));
              });
      assertThat(kinds.resolve(owner(apiVersion, line.text("kind"))))
          .as("%s", line)
          .isEqualTo(
              line.text("kind").equals("Event")
                  ? not(Reason.NEVER_AN_OWNER)
                  : kinds.kindOf(resource));
    }
  }

  /** What removing the key of does not do it for; every other kind is plain. */
  @Test
  void kindsThatAreNotPlain() {
    Map<String, Deletion> others =
        KindTable.rows().stream()
            .filter(row -> row.where().deletion() != Deletion.PLAIN)
            .collect(
                toMap(
                    row -> row.kind().group() + " " + row.kind().kind(),
                    row -> row.where().deletion()));
    assertThat(others)
        .containsOnly(
            Map.entry(" Pod", Deletion.POD),
            Map.entry(" Service", Deletion.OTHER),
            Map.entry(" Namespace", Deletion.OTHER),
            Map.entry("scheduling.k8s.io PriorityClass", Deletion.OTHER),
            Map.entry("apiextensions.k8s.io CustomResourceDefinition", Deletion.OTHER),
            Map.entry("apiregistration.k8s.io APIService", Deletion.OTHER),
            Map.entry(" Event", Deletion.NEVER),
            Map.entry("events.k8s.io Event", Deletion.NEVER));
    assertThat(kinds.kindOf(new Resource("events")))
        .isEqualTo(new Served(new Resource("events"), true, Deletion.NEVER));
  }

  @Test
  void theKindsWithFieldsAreInTheTable() {
    Set<String> paths =
        KindTable.rows().stream().map(row -> row.where().resource().path()).collect(toSet());
    assertThat(paths).containsAll(BuiltInKinds.paths());
    assertThat(paths.stream().map(Resource::new).filter(resource -> !resource.group().isEmpty()))
        .containsExactlyInAnyOrderElementsOf(BuiltInKinds.WITH_A_GROUP);
  }

  @Test
  void whatIsNotServedIsNotResolved() {
    assertThat(kinds.resolve(owner("apps/v1", "Deployment"))).isInstanceOf(Served.class);
    assertThat(kinds.resolve(owner("/v1", "Pod"))).isInstanceOf(Served.class);
    for (String version : List.of("apps/v2", "apps/v1beta1", "apps/", "apps/v1/v1")) {
      assertThat(kinds.resolve(owner(version, "Deployment")))
          .as(version)
          .isEqualTo(not(Reason.UNSERVED_VERSION));
    }
    for (String version : List.of("v1", "", "App/v1", "extensions/v1", "core/v1")) {
      assertThat(kinds.resolve(owner(version, "Deployment")))
          .as(version)
          .isEqualTo(not(Reason.UNKNOWN_KIND));
    }
    for (String kind : List.of("deployment", "deployments", "DeploymentList", "Scale", "")) {
      assertThat(kinds.resolve(owner("apps/v1", kind)))
          .as(kind)
          .isEqualTo(not(Reason.UNKNOWN_KIND));
    }
    assertThat(kinds.resolve(owner("v1", "ComponentStatus")))
        .as("is not in the store")
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(kinds.resolve(owner("authentication.k8s.io/v1", "TokenReview")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(kinds.kindOf(new Resource("masterleases"))).isEqualTo(not(Reason.UNKNOWN_KIND));
  }

  @Test
  void noObjectHasANameThatIsNoPartOfAPath() {
    for (String name : List.of("", ".", "..", "a/b", "/a", "a/", "a%2fb")) {
      assertThat(kinds.resolve(owner("v1", "Secret", name)))
          .as(name)
          .isEqualTo(not(Reason.UNFIT_NAME));
    }
    for (String name : List.of("a", "a.b", "system:node", "...", "A b")) {
      assertThat(kinds.resolve(owner("v1", "Secret", name))).as(name).isInstanceOf(Served.class);
    }
  }

  @Test
  void theKeyOfAnOwner() {
    assertThat(key("v1", "Service")).isEqualTo("/registry/services/specs/n/a");
    assertThat(key("v1", "Node")).isEqualTo("/registry/minions/a");
    define(WIDGETS, definition("Widget", "Namespaced", "v1 served"));
    assertThat(key("example.com/v1", "Widget")).isEqualTo("/registry/example.com/widgets/n/a");
    assertThat(served("example.com/v1", "Widget").object("", "a"))
        .as("an owner in a namespace of what is in none")
        .isNull();
    define(WIDGETS, definition("Widget", "Cluster", "v1 served"));
    assertThat(key("example.com/v1", "Widget")).isEqualTo("/registry/example.com/widgets/a");
    assertThat(served("example.com/v1", "Widget").object("", "a")).isNotNull();
  }

  private String key(String apiVersion, String kind) {
    ObjectKey owner = requireNonNull(served(apiVersion, kind).object("n", "a"));
    return new KeySpace("/registry").key(owner).toString();
  }

  private Served served(String apiVersion, String kind) {
    return (Served) kinds.resolve(owner(apiVersion, kind));
  }

  private void define(Resource resource, @Nullable CustomResource definition) {
    kinds.define(resource, definition);
  }

  private static CustomResource definition(String kind, String scope, String... versions) {
    return definition(WIDGETS, kind, scope, versions);
  }

  private static CustomResource definition(
      Resource resource, String kind, String scope, String... versions) {
    return new CustomResource(
        resource,
        kind,
        scope.equals("Namespaced"),
        false,
        false,
        Arrays.stream(versions)
            .map(
                version ->
                    new CustomResource.Version(
                        version.split(" ", -1)[0], version.endsWith(" served"), false, List.of()))
            .toList());
  }

  @Test
  void aCustomKindIsServedInTheVersionsOfItsDefinition() {
    assertThat(kinds.resolve(owner("example.com/v1", "Widget")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(kinds.kindOf(WIDGETS)).isEqualTo(not(Reason.UNKNOWN_KIND));

    define(WIDGETS, definition("Widget", "Namespaced", "v1alpha1", "v1 served", "v2 served"));
    Kind widgets = new Served(WIDGETS, true, Deletion.PLAIN);
    assertThat(kinds.kindOf(WIDGETS)).isEqualTo(widgets);
    assertThat(kinds.resolve(owner("example.com/v1", "Widget"))).isEqualTo(widgets);
    assertThat(kinds.resolve(owner("example.com/v2", "Widget"))).isEqualTo(widgets);
    assertThat(kinds.resolve(owner("example.com/v1alpha1", "Widget")))
        .isEqualTo(not(Reason.UNSERVED_VERSION));
    assertThat(kinds.resolve(owner("example.com/v3", "Widget")))
        .isEqualTo(not(Reason.UNSERVED_VERSION));
    assertThat(kinds.resolve(owner("example.org/v1", "Widget")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(kinds.resolve(owner("example.com/v1", "widgets")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));

    define(WIDGETS, definition("Widget", "Namespaced", "v1", "v2"));
    assertThat(kinds.resolve(owner("example.com/v1", "Widget")))
        .isEqualTo(not(Reason.UNSERVED_VERSION));
    assertThat(kinds.kindOf(WIDGETS)).isEqualTo(not(Reason.UNSERVED_VERSION));

    define(WIDGETS, null);
    assertThat(kinds.resolve(owner("example.com/v1", "Widget")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(kinds.kindOf(WIDGETS)).isEqualTo(not(Reason.UNKNOWN_KIND));
    define(WIDGETS, null);
  }

  @Test
  void aDefinitionMayGetAnotherKind() {
    define(WIDGETS, definition("Widget", "Namespaced", "v1 served"));
    define(WIDGETS, definition("Gadget", "Namespaced", "v1 served"));
    assertThat(kinds.resolve(owner("example.com/v1", "Widget")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(served("example.com/v1", "Gadget").resource()).isEqualTo(WIDGETS);
  }

  @Test
  void aKindThatIsDefinedTwiceIsNotCertain() {
    Resource others = Resource.of("example.com", "others");
    define(WIDGETS, definition("Widget", "Namespaced", "v1 served"));
    define(others, definition(others, "Widget", "Cluster", "v1 served"));
    assertThat(kinds.resolve(owner("example.com/v1", "Widget")))
        .isEqualTo(not(Reason.UNKNOWN_KIND));
    assertThat(kinds.kindOf(WIDGETS)).isEqualTo(new Served(WIDGETS, true, Deletion.PLAIN));
    assertThat(kinds.kindOf(others)).isEqualTo(new Served(others, false, Deletion.PLAIN));
    define(WIDGETS, null);
    assertThat(served("example.com/v1", "Widget").resource()).isEqualTo(others);
  }

  @Test
  void aKindOfKubernetesCannotBeDefined() {
    Resource classes = Resource.of("storage.k8s.io", "classes");
    define(classes, definition(classes, "StorageClass", "Namespaced", "v7 served"));
    define(WIDGETS, definition("StorageClass", "Namespaced", "v7 served"));
    assertThat(served("storage.k8s.io/v1", "StorageClass").resource())
        .isEqualTo(new Resource("storageclasses"));
    assertThat(kinds.resolve(owner("storage.k8s.io/v7", "StorageClass")))
        .isEqualTo(not(Reason.UNSERVED_VERSION));
    assertThat(served("example.com/v7", "StorageClass").resource()).isEqualTo(WIDGETS);
  }

  @Test
  void aDefinitionThatIsReplacedIsNeverUnknown() throws InterruptedException {
    define(WIDGETS, definition("Widget", "Namespaced", "v1 served"));
    AtomicBoolean closed = new AtomicBoolean();
    Thread writer =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (!closed.get()) {
                    define(WIDGETS, definition("Widget", "Namespaced", "v1 served", "v2"));
                    define(WIDGETS, definition("Widget", "Namespaced", "v1 served"));
                  }
                });
    try {
      for (int i = 0; i < 100_000; i++) {
        assertThat(kinds.resolve(owner("example.com/v1", "Widget")) instanceof Served).isTrue();
      }
    } finally {
      closed.set(true);
      writer.join();
    }
  }
}
