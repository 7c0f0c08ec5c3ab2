package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.Samples.Line;
import io.harikube.store.Bytes;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** All objects of the samples, in both forms: what is found in them is what Kubernetes finds. */
class ObjectSamplesTest {
  private static final List<Line> SAMPLES = Samples.read("objects.jsonl");

  @Test
  void objectsSayWhatKubernetesFindsInThem() {
    assertThat(SAMPLES).hasSizeGreaterThan(150);
    for (Line line : SAMPLES) {
      same(line, ObjectReader.read(Bytes.of(line.text("json")), null));
      same(line, ObjectReader.read(protobuf(line), null));
    }
  }

  private static void same(Line line, StoredValue value) {
    assertThat(value).as("%s", line).isInstanceOf(ObjectInfo.class);
    ObjectInfo info = (ObjectInfo) value;
    assertThat(info.apiVersion()).isEqualTo(line.text("apiVersion"));
    assertThat(info.kind()).isEqualTo(line.text("kind"));
    assertThat(info.name()).isEqualTo(line.text("name"));
    assertThat(info.namespace()).isEqualTo(line.text("namespace"));
    assertThat(info.uid()).isEqualTo(line.text("uid"));
    assertThat(info.labels()).as("%s", line).isEqualTo(line.map("labels"));
    assertThat(info.finalizers()).isEqualTo(line.list("finalizers"));
    assertThat(info.deleting()).isEqualTo(line.is("deleting"));
    assertThat(info.ownerReferences().stream().map(ObjectSamplesTest::text).toList())
        .as("%s", line)
        .isEqualTo(line.list("owners"));
    fields(line, info);
  }

  private static String text(OwnerReference owner) {
    return String.join(
        "|",
        owner.apiVersion(),
        owner.kind(),
        owner.name(),
        owner.uid(),
        String.valueOf(owner.controller()),
        String.valueOf(owner.blockOwnerDeletion()));
  }

  private static void fields(Line line, ObjectInfo info) {
    Map<String, String> expected = new HashMap<>(line.map("fields"));
    expected.remove("name");
    // Kubernetes does not look at the namespace of what has none by its type.
    expected.put("metadata.namespace", line.text("namespace"));
    boolean signerByContent =
        line.text("apiVersion").equals("certificates.k8s.io/v1beta1")
            && line.text("kind").equals("CertificateSigningRequest")
            && !info.fields().containsKey("spec.signerName");
    if (signerByContent) {
      expected.remove("spec.signerName");
    }
    assertThat(info.fields()).as("%s", line).isEqualTo(expected);
  }

  /** The keys of an object in the reverse order: nothing depends on what comes first. */
  @Test
  void theOrderOfKeysDoesNotMatter() {
    for (Line line : SAMPLES) {
      String json = line.text("json").strip();
      assertThat(json).startsWith("{\"kind\":");
      int metadata = json.indexOf(",\"metadata\":");
      String reversed =
          "{"
              + json.substring(metadata + 1, json.length() - 1)
              + ","
              + json.substring(1, metadata)
              + "}";
      same(line, ObjectReader.read(Bytes.of(reversed), null));
    }
  }

  @Test
  void noBytesMakeItThrow() {
    Random random = new Random(3);
    int understood = 0;
    for (Line line : SAMPLES) {
      for (byte[] original : List.of(Bytes.of(line.text("json")).array(), protobuf(line).array())) {
        for (int i = 0; i < 200; i++) {
          StoredValue value = ObjectReader.read(Bytes.of(mutated(random, original)), null);
          understood += value instanceof ObjectInfo ? 1 : 0;
        }
      }
    }
    assertThat(understood).isPositive();
    for (int i = 0; i < 100_000; i++) {
      byte[] bytes = new byte[random.nextInt(40)];
      random.nextBytes(bytes);
      if (bytes.length > 4 && random.nextBoolean()) {
        System.arraycopy(new byte[] {'k', '8', 's', 0}, 0, bytes, 0, 4);
      }
      assertThat(ObjectReader.read(Bytes.of(bytes), null)).isInstanceOf(Opaque.class);
    }
  }

  @Test
  void aTruncatedObjectIsOpaqueInJson() {
    for (Line line : SAMPLES.subList(0, 20)) {
      byte[] whole = Bytes.of(line.text("json").strip()).array();
      for (int length = 0; length < whole.length; length++) {
        assertThat(ObjectReader.read(Bytes.of(Arrays.copyOf(whole, length)), null))
            .isInstanceOf(Opaque.class);
      }
    }
  }

  private static byte[] mutated(Random random, byte[] original) {
    byte[] bytes = original.clone();
    for (int n = 1 + random.nextInt(3); n > 0 && bytes.length > 4; n--) {
      int at = 4 + random.nextInt(bytes.length - 4);
      switch (random.nextInt(4)) {
        case 0 -> bytes = Arrays.copyOf(bytes, at);
        case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 2 -> bytes[at] = (byte) random.nextInt(256);
        default -> {
          int from = 4 + random.nextInt(bytes.length - 4);
          int length = Math.min(random.nextInt(20), bytes.length - Math.max(at, from));
          System.arraycopy(bytes.clone(), from, bytes, at, length);
        }
      }
    }
    return bytes;
  }

  private static Bytes protobuf(Line line) {
    return Bytes.of(Base64.getDecoder().decode(line.text("protobuf")));
  }
}
