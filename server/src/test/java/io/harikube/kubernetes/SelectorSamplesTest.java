package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.kubernetes.Samples.Line;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** All selectors of the samples: the same are refused, and the others match the same. */
class SelectorSamplesTest {
  @Test
  void selectorsMeanWhatTheyMeanToKubernetes() throws SelectorException {
    List<Map<String, String>> sets = List.of();
    int valid = 0;
    int invalid = 0;
    for (Line line : Samples.read("selectors.jsonl")) {
      if (line.has("sets")) {
        sets = line.maps("sets");
      } else if (!line.is("valid")) {
        invalid++;
        refused(line);
      } else if (line.has("label")) {
        valid++;
        label(line, sets);
      } else {
        valid++;
        field(line, sets);
      }
    }
    assertThat(valid).isGreaterThan(500);
    assertThat(invalid).isGreaterThan(300);
  }

  private static void refused(Line line) {
    assertThatThrownBy(
            () -> {
              if (line.has("label")) {
                LabelSelector.parse(line.text("label"));
              } else {
                FieldSelector.parse(line.text("field"));
              }
            })
        .as("%s", line)
        .isInstanceOf(SelectorException.class);
  }

  private static void label(Line line, List<Map<String, String>> sets) throws SelectorException {
    LabelSelector selector = LabelSelector.parse(line.text("label"));
    assertThat(matching(sets, selector::matches)).as("%s", line).isEqualTo(line.list("matches"));
    assertThat(selector.requirements())
        .as("%s", line)
        .containsExactlyInAnyOrderElementsOf(
            line.list("requirements").stream().map(SelectorSamplesTest::labelRequirement).toList());
    assertThat(LabelSelector.parse(selector.toString())).isEqualTo(selector);
  }

  private static void field(Line line, List<Map<String, String>> sets) throws SelectorException {
    FieldSelector selector = FieldSelector.parse(line.text("field"));
    assertThat(matching(sets, selector::matches)).as("%s", line).isEqualTo(line.list("matches"));
    assertThat(selector.requirements())
        .as("%s", line)
        .containsExactlyInAnyOrderElementsOf(
            line.list("requirements").stream().map(SelectorSamplesTest::fieldRequirement).toList());
    assertThat(FieldSelector.parse(selector.toString())).isEqualTo(selector);
  }

  private static List<Integer> matching(
      List<Map<String, String>> sets, Predicate<Map<String, String>> selector) {
    List<Integer> matching = new ArrayList<>();
    for (int i = 0; i < sets.size(); i++) {
      if (selector.test(sets.get(i))) {
        matching.add(i);
      }
    }
    return matching;
  }

  private static LabelRequirement labelRequirement(Object parts) {
    List<String> texts = ((List<?>) parts).stream().map(String.class::cast).toList();
    String key = texts.getFirst();
    List<String> values = texts.subList(2, texts.size());
    return switch (texts.get(1)) {
      case "=", "==", "in" -> new LabelRequirement.In(key, values);
      case "!=", "notin" -> new LabelRequirement.NotIn(key, values);
      case "exists" -> new LabelRequirement.Exists(key);
      case "!" -> new LabelRequirement.Absent(key);
      case "gt" -> new LabelRequirement.GreaterThan(key, Long.parseLong(values.getFirst()));
      case "lt" -> new LabelRequirement.LessThan(key, Long.parseLong(values.getFirst()));
      default -> throw new AssertionError(texts);
    };
  }

  private static FieldRequirement fieldRequirement(Object parts) {
    List<String> texts = ((List<?>) parts).stream().map(String.class::cast).toList();
    return texts.get(1).equals("=")
        ? new FieldRequirement.Is(texts.get(0), texts.get(2))
        : new FieldRequirement.IsNot(texts.get(0), texts.get(2));
  }
}
