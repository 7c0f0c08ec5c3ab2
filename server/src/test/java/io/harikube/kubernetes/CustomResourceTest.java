package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import java.util.List;
import org.junit.jupiter.api.Test;

class CustomResourceTest {
  private static final Resource WIDGETS = Resource.of("example.com", "widgets");
  private static final ObjectKey KEY =
      new ObjectKey(Resource.CUSTOM_RESOURCE_DEFINITIONS, "", "widgets.example.com");

  private CustomResource custom = define(definition("None"));

  private static CustomResource define(Bytes definition) {
    return requireNonNull(DefinitionReader.read(WIDGETS, definition));
  }

  @Test
  void saysWhatTheDefinitionSays() {
    CustomResource widgets = define(definition("None", version("v1", true, ".spec.color")));
    assertThat(widgets.resource()).isEqualTo(WIDGETS);
    assertThat(widgets.kind()).isEqualTo("Widget");
    assertThat(widgets.isNamespaced()).isTrue();
    assertThat(widgets.isConvertedByWebhook()).isFalse();
    assertThat(widgets.fieldLabels()).containsExactly("spec.color");
    assertThat(define(definition("None", version("v1", true, ".spec.color")))).isEqualTo(widgets);
    assertThat(define(definition("None", version("v1", true))).fieldLabels()).isEmpty();
  }

  @Test
  void whatCannotBeUnderstoodIsNoDefinition() {
    assertThat(DefinitionReader.read(WIDGETS, Bytes.of("k8s:enc:x"))).isNull();
    assertThat(Resource.defined(KEY)).isEqualTo(WIDGETS);
    assertThat(Resource.defined(new ObjectKey(new Resource("pods"), "", "widgets.example.com")))
        .isNull();
    assertThat(Resource.defined(new ObjectKey(KEY.resource(), "", "widgets"))).isNull();
  }

  @Test
  void whatAWebhookMakesOfAnObjectIsNotKnown() {
    custom =
        define(
            definition(
                "Webhook", version("v1", false, ".spec.colour"), version("v2", true, ".color")));
    assertThat(custom.isConvertedByWebhook()).isTrue();
    assertThat(custom.fieldLabels()).isEmpty();
    assertThat(read("v2", "\"color\":\"red\"").fields()).hasSize(2);
    custom = define(definition("Webhook", version("v2", true, ".color")));
    assertThat(custom.isConvertedByWebhook()).as("there is nothing to convert").isFalse();
    assertThat(read("v2", "\"color\":\"red\"").fields()).containsEntry("color", "red");
  }

  @Test
  void whatAnObjectSaysOfItselfIsNoField() {
    custom =
        define(
            definition(
                "None",
                version(
                    "v1", true, ".kind", ".apiVersion", ".metadata.name", ".kinds", ".a.kind")));
    assertThat(custom.fieldLabels()).containsExactly("kinds", "a.kind");
  }

  @Test
  void aFingerprintTellsApartWhatIsReadInAnotherWay() {
    List<Bytes> definitions =
        List.of(
            definition("None", version("v1", true, ".a")),
            definition("None", version("v1", true, ".b")),
            definition("None", version("v1", true, ".a", ".b")),
            definition("None", version("v2", true, ".a")),
            definition("None", version("v1", true, ".a"), version("v2", false)),
            definition("None", version("v1", false, ".a"), version("v2", true, ".a")));
    assertThat(definitions)
        .extracting(definition -> define(definition).fingerprint())
        .doesNotHaveDuplicates();
    String fingerprint = define(definitions.getFirst()).fingerprint();
    assertThat(fingerprint).as("stores have it").isEqualTo("b94700b7a4f9a394");
  }

  @Test
  void whatIsServedOrDeletedIsReadInTheSameWay() {
    String plain = definition("None", version("v1", true, ".a")).toString();
    CustomResource unserved = define(Bytes.of(plain));
    CustomResource served =
        define(Bytes.of(plain.replace("\"storage\"", "\"served\":true,\"storage\"")));
    CustomResource deleting =
        define(
            Bytes.of(
                plain.replace(
                    "\"spec\"",
                    "\"metadata\":{\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\"")));
    assertThat(unserved.isServed("v1")).isFalse();
    assertThat(served.isServed("v1")).isTrue();
    assertThat(served.isServed("v2")).isFalse();
    assertThat(served.isDeleting()).isFalse();
    assertThat(deleting.isDeleting()).isTrue();
    for (CustomResource other : List.of(served, deleting)) {
      assertThat(other).isNotEqualTo(unserved);
      assertThat(other.readsLike(unserved)).isTrue();
      assertThat(other.fingerprint()).isEqualTo(unserved.fingerprint());
    }
    for (Bytes definition :
        List.of(
            definition("None", version("v1", false, ".a")),
            definition("None", version("v1", true, ".b")),
            definition("None", version("v1", true, ".a"), version("v2", false)),
            definition("Webhook", version("v1", true, ".a")))) {
      assertThat(define(definition).readsLike(unserved)).isFalse();
    }
  }

  @Test
  void aPathThatIsNotPlainIsNotKnown() {
    custom = define(definition("None", version("v1", true, ".a", ".b[0]", "c", "", ".d*", ".")));
    assertThat(read("v1", "\"a\":\"1\"").fields()).containsEntry("a", "1").hasSize(3);
  }

  @Test
  void onlyTheObjectsOfTheResourceHaveItsFields() {
    custom = define(definition("None", version("v1", true, ".a")));
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
    return (ObjectInfo) ObjectReader.read(Bytes.of(json), custom);
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
