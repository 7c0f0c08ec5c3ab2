package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.Samples.Line;
import io.harikube.store.Bytes;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * All custom resources of the samples: the three forms of a definition say the same, and a field of
 * an object that is known has the value that the API server finds, whatever version is asked for.
 */
class CustomResourceSamplesTest {
  private static final List<Line> SAMPLES = Samples.read("custom.jsonl");

  @Test
  void fieldsOfCustomResourcesAreThoseThatTheApiServerFinds() {
    CustomResources resources = new CustomResources();
    Resource resource = new Resource("");
    int known = 0;
    int open = 0;
    for (Line line : SAMPLES) {
      if (line.has("definition")) {
        resource = learn(resources, line);
        continue;
      }
      CustomResource custom = requireNonNull(resources.get(resource));
      ObjectInfo info = (ObjectInfo) ObjectReader.read(Bytes.of(line.text("json")), custom);
      assertThat(info.labels()).isEqualTo(Map.of("a", "b"));
      for (Map<String, String> found : line.maps("fields")) {
        found.putIfAbsent("metadata.namespace", "");
        for (Map.Entry<String, String> field : found.entrySet()) {
          String value = info.fields().get(field.getKey());
          if (value == null) {
            open++;
          } else {
            known++;
            assertThat(value).as("%s of %s in %s", field, line, custom).isEqualTo(field.getValue());
          }
        }
      }
    }
    assertThat(known).isGreaterThan(500);
    assertThat(known).isGreaterThan(2 * open);
  }

  private static Resource learn(CustomResources resources, Line line) {
    ObjectKey key = new ObjectKey(Resource.CUSTOM_RESOURCE_DEFINITIONS, "", line.text("name"));
    String name = line.text("name");
    Resource resource =
        Resource.of(name.substring(name.indexOf('.') + 1), name.substring(0, name.indexOf('.')));
    assertThat(resources.put(key, Bytes.of(line.text("definition")))).isTrue();
    CustomResource learnt = requireNonNull(resources.get(resource));
    assertThat(learnt.resource()).isEqualTo(resource);
    assertThat(resources.put(key, Bytes.of(line.text("stored")))).isFalse();
    assertThat(resources.get(resource)).isEqualTo(learnt);
    assertThat(resources.put(key, protobuf(line))).isFalse();
    assertThat(resources.get(resource)).isEqualTo(learnt);
    return resource;
  }

  @Test
  void noBytesMakeItThrow() {
    Random random = new Random(4);
    CustomResources resources = new CustomResources();
    for (Line line : SAMPLES) {
      if (!line.has("definition")) {
        continue;
      }
      ObjectKey key = new ObjectKey(Resource.CUSTOM_RESOURCE_DEFINITIONS, "", line.text("name"));
      for (Bytes original : List.of(Bytes.of(line.text("stored")), protobuf(line))) {
        for (int i = 0; i < 500; i++) {
          byte[] bytes = original.array().clone();
          for (int n = random.nextInt(4); n >= 0; n--) {
            bytes[4 + random.nextInt(bytes.length - 4)] = (byte) random.nextInt(256);
          }
          resources.put(key, Bytes.of(bytes));
        }
      }
    }
  }

  private static Bytes protobuf(Line line) {
    return Bytes.of(Base64.getDecoder().decode(line.text("protobuf")));
  }
}
