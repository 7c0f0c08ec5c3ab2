package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.Samples.Line;
import io.harikube.store.Bytes;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * All custom resources of the samples: the three forms of a definition say the same, and a field of
 * an object that is known has the value that the API server finds, whatever version is asked for.
 */
class CustomResourceSamplesTest {
  private static final List<Line> SAMPLES = Samples.read("custom.jsonl");

  @Test
  void fieldsOfCustomResourcesAreThoseThatTheApiServerFinds() {
    CustomResource custom = null;
    int known = 0;
    int open = 0;
    for (Line line : SAMPLES) {
      if (line.has("definition")) {
        custom = learn(line);
        continue;
      }
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

  @Test
  void definitionsOfTheSamplesDiffer() {
    List<CustomResource> definitions =
        SAMPLES.stream()
            .filter(line -> line.has("definition"))
            .map(CustomResourceSamplesTest::learn)
            .toList();
    for (boolean is : new boolean[] {false, true}) {
      assertThat(definitions)
          .anyMatch(definition -> definition.isDeleting() == is)
          .anyMatch(definition -> definition.versions().getFirst().served() == is)
          .anyMatch(definition -> definition.versions().getLast().served() == is);
    }
  }

  private static CustomResource learn(Line line) {
    CustomResource learnt = requireNonNull(read(line, Bytes.of(line.text("definition"))));
    assertThat(read(line, Bytes.of(line.text("stored")))).isEqualTo(learnt);
    assertThat(read(line, protobuf(line))).isEqualTo(learnt);
    return learnt;
  }

  private static @Nullable CustomResource read(Line line, Bytes definition) {
    ObjectKey key = new ObjectKey(Resource.CUSTOM_RESOURCE_DEFINITIONS, "", line.text("name"));
    return DefinitionReader.read(requireNonNull(Resource.defined(key)), definition);
  }

  @Test
  void noBytesMakeItThrow() {
    Random random = new Random(4);
    for (Line line : SAMPLES) {
      if (!line.has("definition")) {
        continue;
      }
      for (Bytes original : List.of(Bytes.of(line.text("stored")), protobuf(line))) {
        for (int i = 0; i < 500; i++) {
          byte[] bytes = original.array().clone();
          for (int n = random.nextInt(4); n >= 0; n--) {
            bytes[4 + random.nextInt(bytes.length - 4)] = (byte) random.nextInt(256);
          }
          read(line, Bytes.of(bytes));
        }
      }
    }
  }

  private static Bytes protobuf(Line line) {
    return Bytes.of(Base64.getDecoder().decode(line.text("protobuf")));
  }
}
