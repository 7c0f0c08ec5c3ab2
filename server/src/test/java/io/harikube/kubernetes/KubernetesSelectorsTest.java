package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

/** Filters over attributes say what the selectors say of the objects. */
final class KubernetesSelectorsTest {
  private static final Resource WIDGETS = Resource.of("example.com", "widgets");
  private static final KeyRange RANGE = KeyRange.prefix(Bytes.of("/registry/example.com/widgets/"));
  private static final Bytes KEY = Bytes.of("/registry/example.com/widgets/n/w");
  private static final String DEFINITION =
      """
      {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
       "metadata":{"name":"widgets.example.com"},
       "spec":{"group":"example.com","scope":"Namespaced",
         "names":{"plural":"widgets","kind":"Widget"},
         "conversion":{"strategy":"%s"},
         "versions":[{"name":"v1","served":true,"storage":true,
           "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object",
             "properties":{"color":{"type":"string"},
               "shape":{"type":"string","default":"round"}}}}}},
           "selectableFields":[{"jsonPath":".spec.color"},{"jsonPath":".spec.shape"}]},
          {"name":"v2","served":true,"storage":false,
           "schema":{"openAPIV3Schema":{"type":"object"}}}]}}""";

  private final KubernetesSelectors selectors = new KubernetesSelectors(new KeySpace("/registry"));

  private Filter filter(KeyRange range, String labels, String fields) {
    return selectors.select(range, labels, fields).filter();
  }

  private void define(String conversion) {
    selectors.define(
        WIDGETS, DefinitionReader.read(WIDGETS, Bytes.of(DEFINITION.formatted(conversion))));
  }

  private static String any(Random random, String... of) {
    return of[random.nextInt(of.length)];
  }

  private static String object(Random random) {
    StringBuilder spec = new StringBuilder();
    if (random.nextBoolean()) {
      spec.append("\"color\":\"").append(any(random, "", "red", "blue", "\\u0000?")).append('"');
    }
    if (random.nextBoolean()) {
      spec.append(spec.isEmpty() ? "" : ",")
          .append("\"shape\":\"")
          .append(any(random, "round", "flat"))
          .append('"');
    }
    String labels = random.nextBoolean() ? "\"a\":\"" + any(random, "", "1", "7") + "\"" : "";
    return "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"w\","
        + "\"namespace\":\"n\",\"labels\":{"
        + labels
        + "}},\"spec\":{"
        + spec
        + "}}";
  }

  private static String labelSelector(Random random) {
    return any(random, "", "a", "!a", "a=1", "a!=1", "a in (,7)", "a notin (1,2)", "a>1", "a<5");
  }

  private static String fieldSelector(Random random) {
    String field = any(random, "spec.color", "spec.shape", "spec.none");
    return random.nextInt(3) == 0
        ? ""
        : field + any(random, "=", "!=") + any(random, "", "red", "round", "flat", "\0?");
  }

  @Test
  void asTheSelectorsSay() throws SelectorException {
    define("None");
    long seed = System.nanoTime();
    Random random = new Random(seed);
    CustomResource definition = selectors.definition(WIDGETS);
    for (int i = 0; i < 3000; i++) {
      Bytes value = Bytes.of(object(random));
      String labels = labelSelector(random);
      String fields = fieldSelector(random);
      ObjectInfo info = (ObjectInfo) ObjectReader.read(value, definition);
      boolean may = info.mayMatch(LabelSelector.parse(labels), FieldSelector.parse(fields));
      Attributes attributes = selectors.read(KEY, value);
      assertThat(filter(RANGE, labels, fields).matches(KEY, attributes))
          .as("seed %s: %s of %s, %s", seed, value, labels, fields)
          .isEqualTo(may);
    }
  }

  @Test
  void whatCannotBeReadIsDelivered() {
    define("None");
    Filter filter = filter(RANGE, "a=1", "spec.color=red");
    for (String value :
        List.of("k8s:enc:aescbc:v1:key:xyz", "", "{\"apiVersion\":", "\u00d9\u00d9\u00f7")) {
      Attributes attributes = selectors.read(KEY, Bytes.of(value));
      assertThat(filter.matches(KEY, attributes)).as(value).isTrue();
    }
  }

  @Test
  void namesAndNamespacesAreInTheKeys() {
    Filter filter = filter(RANGE, "", "metadata.name=w,metadata.namespace=n");
    assertThat(filter.matches(KEY, Attributes.NONE)).isTrue();
    assertThat(filter.matches(KEY, Attributes.UNKNOWN)).isTrue();
    Bytes other = Bytes.of("/registry/example.com/widgets/n/vw");
    assertThat(filter.matches(other, Attributes.UNKNOWN)).isFalse();
    assertThat(selectors.select(RANGE, "", "metadata.namespace=n").range())
        .isEqualTo(KeyRange.prefix(Bytes.of("/registry/example.com/widgets/n/")));
    KeyRange page = RANGE.from(KEY);
    assertThat(selectors.select(page, "", "metadata.namespace=n").range().start()).isEqualTo(KEY);
    assertThat(selectors.select(page, "", "metadata.namespace=m").range().isEmpty()).isTrue();
    assertThat(selectors.select(RANGE, "", "metadata.namespace!=n").range()).isEqualTo(RANGE);
    assertThat(filter(RANGE, "", "metadata.name!=w").isEmpty()).isTrue();
    KeyRange all = KeyRange.prefix(Bytes.of("/registry/"));
    assertThat(selectors.select(all, "", "metadata.namespace=n").range()).isEqualTo(all);
  }

  @Test
  void whatAWebhookMayChangeIsLeftToTheApiServer() {
    define("Webhook");
    assertThat(filter(RANGE, "a=1,!b", "spec.color=red")).isEqualTo(Filter.NONE);
    assertThat(filter(RANGE, "a=1", "metadata.name=w").keyEnd()).isEqualTo(Bytes.of("/w"));
    assertThat(selectors.select(RANGE, "a=1", "metadata.namespace=n").range())
        .isEqualTo(KeyRange.prefix(Bytes.of("/registry/example.com/widgets/n/")));
  }

  @Test
  void ofACustomResourceWithoutADefinitionNothingIsKnown() {
    assertThat(filter(RANGE, "a=1", "")).isEqualTo(Filter.NONE);
    for (String resource :
        List.of(
            "pods",
            "services/specs",
            "apiextensions.k8s.io/customresourcedefinitions",
            "apiregistration.k8s.io/apiservices")) {
      KeyRange range = KeyRange.prefix(Bytes.of("/registry/" + resource + "/"));
      assertThat(filter(range, "a=1", "").requirements()).as(resource).hasSize(1);
    }
  }

  /** Of an API server whose prefix is longer than the one that is known. */
  @Test
  void ofLongerKeysNothingIsKnown() {
    Bytes key = Bytes.of("/registry/tenant/configmaps/default/x");
    Bytes value =
        Bytes.of(
            """
            {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default",
             "labels":{"a":"1"}}}""");
    Attributes attributes = selectors.read(key, value);
    for (String start :
        List.of("/registry/tenant/configmaps/", "/registry/tenant/configmaps/default/")) {
      KeyRange range = KeyRange.prefix(Bytes.of(start));
      for (String fields :
          List.of("", "metadata.namespace=default", "metadata.name=x", "spec.nodeName=n")) {
        var selected = selectors.select(range, "b=2", fields);
        assertThat(selected.range()).as(start + fields).isEqualTo(range);
        assertThat(selected.filter().matches(key, attributes)).as(start + fields).isTrue();
      }
    }
    KeyRange rest =
        new KeyRange(
            Bytes.of("/registry/tenant/configmaps/default/x\0"),
            Bytes.of("/registry/tenant/configmaps0"));
    assertThat(selectors.select(rest, "b=2", "metadata.namespace=default").range()).isEqualTo(rest);
  }

  @Test
  void aNameMayHaveAReplacementCharacter() {
    Bytes key = Bytes.of("/registry/clusterroles/a\uFFFDb");
    Bytes value =
        Bytes.of(
            """
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole",
             "metadata":{"name":"a\uFFFDb","labels":{"a":"1"}}}""");
    Filter filter = filter(KeyRange.prefix(Bytes.of("/registry/clusterroles/")), "a=1", "");
    assertThat(filter.matches(key, selectors.read(key, value))).isTrue();
    byte[] broken = "/registry/clusterroles/a".getBytes(StandardCharsets.UTF_8);
    broken[broken.length - 1] = -1;
    assertThat(selectors.read(Bytes.of(broken), value)).isEqualTo(Attributes.UNKNOWN);
    assertThat(selectors.read(Bytes.of("/other/a"), value)).isEqualTo(Attributes.NONE);
  }

  @Test
  void whatKubernetesWouldRefuseFiltersNothing() {
    define("None");
    assertThat(filter(RANGE, "a in", "=")).isEqualTo(Filter.NONE);
    assertThat(filter(KeyRange.prefix(Bytes.of("/other/")), "a=1", "")).isEqualTo(Filter.NONE);
  }

  private static Bytes definitionKey(String name) {
    return Bytes.of("/registry/apiextensions.k8s.io/customresourcedefinitions/" + name);
  }

  @Test
  void nothingIsFilteredUntilTheDefinitionIsLearnt() throws InterruptedException {
    define("None");
    selectors.changing(definitionKey("widgets.example.com"), 7);
    assertThat(filter(RANGE, "a=1", "spec.color=red").isEmpty()).isTrue();
    assertThat(filter(RANGE, "a=1", "metadata.name=w").keyEnd()).isEqualTo(Bytes.of("/w"));
    selectors.learnt(6);
    assertThat(filter(RANGE, "", "spec.color=red").isEmpty()).isTrue();
    CompletableFuture<Filter> waiting =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                selectors.settle(RANGE);
              } catch (InterruptedException e) {
                throw new CompletionException(e);
              }
              return filter(RANGE, "a=1", "spec.color=red");
            });
    selectors.learnt(7);
    assertThat(waiting.join().requirements()).hasSize(2);
    selectors.settle(RANGE);
    selectors.changing(definitionKey("others.example.com"), 8);
    selectors.changing(Bytes.of("/registry/pods/n/widgets.example.com"), 8);
    assertThat(filter(RANGE, "a=1", "spec.color=red").requirements()).hasSize(2);
  }

  @Test
  void aNewDefinitionHasNewNames() {
    define("None");
    Filter before = filter(RANGE, "", "spec.color=red");
    long generation = selectors.generation();
    selectors.define(
        WIDGETS,
        DefinitionReader.read(
            WIDGETS,
            Bytes.of(DEFINITION.formatted("None").replace("\"default\":\"round\"", "\"x\":1"))));
    assertThat(filter(RANGE, "", "spec.color=red")).isNotEqualTo(before);
    assertThat(selectors.generation()).isGreaterThan(generation);
  }
}
