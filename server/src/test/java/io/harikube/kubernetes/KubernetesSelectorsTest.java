package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import java.util.List;
import java.util.Random;
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
  void aFieldBehindAWebhookIsLeftToTheApiServer() {
    define("Webhook");
    assertThat(filter(RANGE, "", "spec.color=red")).isEqualTo(Filter.NONE);
  }

  @Test
  void whatKubernetesWouldRefuseFiltersNothing() {
    assertThat(filter(RANGE, "a in", "=")).isEqualTo(Filter.NONE);
    assertThat(filter(KeyRange.prefix(Bytes.of("/other/")), "a=1", "")).isEqualTo(Filter.NONE);
  }

  @Test
  void fieldsFilterNothingUntilTheirDefinitionIsLearnt() {
    define("None");
    KeyRange pods = KeyRange.prefix(Bytes.of("/registry/pods/"));
    selectors.committing(null, 7);
    assertThat(filter(RANGE, "", "spec.color=red").isEmpty()).isTrue();
    assertThat(filter(pods, "", "spec.nodeName=n").isEmpty()).isFalse();
    selectors.learnt(6);
    assertThat(filter(RANGE, "", "spec.color=red").isEmpty()).isTrue();
    selectors.learnt(7);
    assertThat(filter(RANGE, "", "spec.color=red").isEmpty()).isFalse();
    Bytes other =
        Bytes.of("/registry/apiextensions.k8s.io/customresourcedefinitions/others.example.com");
    selectors.committing(
        List.of(new Event(new KeyValue(other, 8, 8, 1, Bytes.of("{}"), 0), null)), 8);
    assertThat(filter(RANGE, "", "spec.color=red").isEmpty()).isFalse();
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
