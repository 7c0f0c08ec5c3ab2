package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SelectorTest {
  @Test
  void canonicalForms() throws SelectorException {
    assertThat(LabelSelector.parse(" b  in (y,x,y ), !a ,a==1,c notin(),d>07"))
        .hasToString("!a,a=1,b in (x,y),c!=,d>7");
    assertThat(LabelSelector.parse("")).isEqualTo(LabelSelector.EVERYTHING).hasToString("");
    assertThat(FieldSelector.parse("b==x\\,y,,a!=\\\\")).hasToString("a!=\\\\,b=x\\,y");
    assertThat(FieldSelector.parse(",=,")).isEqualTo(FieldSelector.EVERYTHING);
  }

  @Test
  void aRefusalSaysWhatIsWrong() {
    assertThatThrownBy(() -> LabelSelector.parse("a in b"))
        .hasMessage("found 'b' instead of '(': selector 'a in b'");
    assertThatThrownBy(() -> LabelSelector.parse("a>b"))
        .hasMessage("'b' is not an integer: selector 'a>b'");
    assertThatThrownBy(() -> LabelSelector.parse("a,"))
        .hasMessage("found the end instead of the name of a label: selector 'a,'");
    assertThatThrownBy(() -> FieldSelector.parse("a"))
        .hasMessage("'a' has no operator: selector 'a'");
  }

  @Test
  void aMissingLabelIsNotTheEmptyOne() throws SelectorException {
    assertThat(LabelSelector.parse("a=").matches(Map.of())).isFalse();
    assertThat(LabelSelector.parse("a!=").matches(Map.of())).isTrue();
    assertThat(FieldSelector.parse("a=").matches(Map.of())).isTrue();
    assertThat(FieldSelector.parse("a!=").matches(Map.of())).isFalse();
  }

  @Test
  void anUnknownFieldExcludesNothing() throws SelectorException {
    FieldSelector selector = FieldSelector.parse("a=1,b!=2");
    assertThat(selector.mayMatch(Map.of())).isTrue();
    assertThat(selector.mayMatch(Map.of("a", "1"))).isTrue();
    assertThat(selector.mayMatch(Map.of("a", "2"))).isFalse();
    assertThat(selector.mayMatch(Map.of("b", "2"))).isFalse();
  }

  @Test
  void whatIsPrintedIsReadAgain() throws SelectorException {
    Random random = new Random(7);
    for (int i = 0; i < 20_000; i++) {
      List<LabelRequirement> labels = new ArrayList<>();
      List<FieldRequirement> fields = new ArrayList<>();
      for (int n = random.nextInt(4); n > 0; n--) {
        labels.add(labelRequirement(random));
        FieldRequirement field = fieldRequirement(random);
        if (!field.field().isEmpty() || !field.value().isEmpty()) {
          fields.add(field);
        }
      }
      LabelSelector label = new LabelSelector(labels);
      assertThat(LabelSelector.parse(label.toString())).isEqualTo(label);
      FieldSelector field = new FieldSelector(fields);
      assertThat(FieldSelector.parse(field.toString())).isEqualTo(field);
    }
  }

  @Test
  void anyTextIsReadOrRefused() {
    Random random = new Random(8);
    String alphabet = "ab1in notin=!<>(),.-_/\\\t\0ä";
    for (int i = 0; i < 50_000; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = random.nextInt(16); n > 0; n--) {
        text.append(alphabet.charAt(random.nextInt(alphabet.length())));
      }
      try {
        LabelSelector label = LabelSelector.parse(text.toString());
        assertThat(LabelSelector.parse(label.toString())).isEqualTo(label);
      } catch (SelectorException e) {
        assertThat(e).hasMessageContaining(text.toString());
      }
      try {
        FieldSelector field = FieldSelector.parse(text.toString());
        assertThat(FieldSelector.parse(field.toString())).isEqualTo(field);
      } catch (SelectorException e) {
        assertThat(e).hasMessageContaining(text.toString());
      }
    }
  }

  private static LabelRequirement labelRequirement(Random random) {
    String key = oneOf(random, "a", "b", "in", "notin", "x.y/z");
    return switch (random.nextInt(6)) {
      case 0 -> new LabelRequirement.In(key, values(random));
      case 1 -> new LabelRequirement.NotIn(key, values(random));
      case 2 -> new LabelRequirement.Exists(key);
      case 3 -> new LabelRequirement.Absent(key);
      case 4 -> new LabelRequirement.GreaterThan(key, random.nextLong(Long.MAX_VALUE));
      default -> new LabelRequirement.LessThan(key, random.nextInt(9));
    };
  }

  private static List<String> values(Random random) {
    List<String> values = new ArrayList<>();
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      values.add(oneOf(random, "", "a", "in", "notin", "5", "A_b-c.D"));
    }
    return values;
  }

  private static FieldRequirement fieldRequirement(Random random) {
    String field = oneOf(random, "", "a", "spec.x", "a b", "ä");
    StringBuilder value = new StringBuilder();
    for (int n = random.nextInt(4); n > 0; n--) {
      value.append(oneOf(random, "\\", ",", "=", "!", "x", "\uD83D\uDE00", "\0"));
    }
    return random.nextBoolean()
        ? new FieldRequirement.Is(field, value.toString())
        : new FieldRequirement.IsNot(field, value.toString());
  }

  private static String oneOf(Random random, String... values) {
    return values[random.nextInt(values.length)];
  }
}
