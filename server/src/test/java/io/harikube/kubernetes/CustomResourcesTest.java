package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import org.junit.jupiter.api.Test;

class CustomResourcesTest {
  private static final Resource WIDGETS = Resource.of("example.com", "widgets");
  private static final ObjectKey KEY =
      new ObjectKey(Resource.CUSTOM_RESOURCE_DEFINITIONS, "", "widgets.example.com");

  private final CustomResources resources = new CustomResources();

  @Test
  void learnsAndForgets() {
    assertThat(resources.get(WIDGETS)).isNull();
    assertThat(resources.put(KEY, definition("None", version("v1", true, ".spec.color")))).isTrue();
    assertThat(resources.put(KEY, definition("None", version("v1", true, ".spec.color"))))
        .isFalse();
    CustomResource widgets = requireNonNull(resources.get(WIDGETS));
    assertThat(widgets.kind()).isEqualTo("Widget");
    assertThat(widgets.isNamespaced()).isTrue();
    assertThat(widgets.isConvertedByWebhook()).isFalse();
    assertThat(resources.fieldLabels(WIDGETS))
        .containsExactlyInAnyOrder("metadata.name", "metadata.namespace", "spec.color");
    assertThat(resources.remove(KEY)).isTrue();
    assertThat(resources.remove(KEY)).isFalse();
    assertThat(resources.get(WIDGETS)).isNull();
  }

  @Test
  void aDefinitionWithoutFieldsChangesNothing() {
    assertThat(resources.put(KEY, definition("None", version("v1", true)))).isFalse();
    assertThat(resources.get(WIDGETS)).isNotNull();
    assertThat(resources.remove(KEY)).isFalse();
  }

  @Test
  void whatCannotBeUnderstoodIsForgotten() {
    resources.put(KEY, definition("None", version("v1", true, ".spec.color")));
    assertThat(resources.put(KEY, Bytes.of("k8s:enc:x"))).isTrue();
    assertThat(resources.get(WIDGETS)).isNull();
    resources.put(KEY, definition("None", version("v1", true, ".spec.color")));
    ObjectKey other =
        new ObjectKey(Resource.CUSTOM_RESOURCE_DEFINITIONS, "", "gadgets.example.com");
    assertThat(resources.put(other, definition("None", version("v1", true, ".a")))).isFalse();
    ObjectKey pod = new ObjectKey(new Resource("pods"), "", "widgets.example.com");
    assertThat(resources.remove(pod)).isFalse();
    assertThat(resources.get(WIDGETS)).isNotNull();
  }

  @Test
  void aWebhooksVersionsHaveTheirOwnFields() {
    resources.put(
        KEY,
        definition("Webhook", version("v1", false, ".spec.colour"), version("v2", true, ".color")));
    assertThat(resources.fieldLabels(WIDGETS)).contains("color").doesNotContain("spec.colour");
    assertThat(read("v2", "\"color\":\"red\"").fields()).containsEntry("color", "red");
    assertThat(read("v1", "\"color\":\"red\",\"spec\":{\"colour\":\"red\"}").fields()).hasSize(2);
  }

  @Test
  void aPathThatIsNotPlainIsNotKnown() {
    resources.put(KEY, definition("None", version("v1", true, ".a", ".b[0]", "c", "", ".d*", ".")));
    assertThat(read("v1", "\"a\":\"1\"").fields()).containsEntry("a", "1").hasSize(3);
  }

  @Test
  void onlyTheObjectsOfTheResourceHaveItsFields() {
    resources.put(KEY, definition("None", version("v1", true, ".a")));
    assertThat(read("v1", "\"a\":1").fields()).containsEntry("a", "1");
    assertThat(read("v1", "\"a\":1.5").fields()).hasSize(2);
    assertThat(read("v1", "\"a\":{}").fields()).hasSize(2);
    assertThat(read("v1", "\"a\":9223372036854775808").fields()).hasSize(2);
    assertThat(read("v1", "\"a\":null").fields()).containsEntry("a", "");
    assertThat(read("v9", "\"a\":1").fields()).hasSize(2);
    assertThat(read("v1", "\"a\":1,\"kind\":\"Gadget\"").fields()).hasSize(2);
  }

  private ObjectInfo read(String version, String rest) {
    String json =
        "{\"apiVersion\":\"example.com/" + version + "\",\"kind\":\"Widget\"," + rest + "}";
    return (ObjectInfo) ObjectReader.read(Bytes.of(json), resources.get(WIDGETS));
  }

  private static Bytes definition(String conversion, String... versions) {
    return Bytes.of(
        """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{
          "group":"example.com","names":{"plural":"widgets","kind":"Widget"},"scope":"Namespaced",
          "conversion":{"strategy":"%s"},"versions":[%s]}}
        """
            .formatted(conversion, String.join(",", versions)));
  }

  private static String version(String name, boolean storage, String... paths) {
    StringBuilder fields = new StringBuilder();
    for (String path : paths) {
      fields.append(fields.isEmpty() ? "" : ",").append("{\"jsonPath\":\"" + path + "\"}");
    }
    return "{\"name\":\"%s\",\"storage\":%s,\"selectableFields\":[%s]}"
        .formatted(name, storage, fields);
  }
}
