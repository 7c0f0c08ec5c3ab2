package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.AdmissionReader.Form;
import io.harikube.kubernetes.Samples.Line;
import io.harikube.store.Bytes;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whose deletions are looked at, by configurations as Kubernetes stores them and as they may be.
 */
class AdmissionReaderTest {
  private static final List<Line> SAMPLES = Samples.read("admission.jsonl");
  private static final Resource WIDGETS = Resource.of("example.com", "widgets");

  private static Form form(String path) {
    return Arrays.stream(Form.values())
        .filter(form -> form.resource().path().equals(path))
        .findFirst()
        .orElseThrow();
  }

  private static Bytes protobuf(Line line) {
    return Bytes.of(Base64.getDecoder().decode(line.text("protobuf")));
  }

  @Test
  void deletionsAreSeenThatKubernetesShowsToSomebody() {
    int seen = 0;
    int unseen = 0;
    for (Line line : SAMPLES) {
      Form form = form(line.text("path"));
      for (Bytes value : List.of(Bytes.of(line.text("json")), protobuf(line))) {
        List<AdmissionRule> rules = requireNonNull(AdmissionReader.read(form, value));
        for (Object question : line.list("seen")) {
          assertThat(sees(rules, (String) question)).as("%s by %s", question, line).isTrue();
          seen++;
        }
        for (Object question : line.list("unseen")) {
          assertThat(sees(rules, (String) question)).as("%s by %s", question, line).isFalse();
          unseen++;
        }
      }
    }
    assertThat(seen).isGreaterThan(500);
    assertThat(unseen).isGreaterThan(500);
  }

  private static boolean sees(List<AdmissionRule> rules, String question) {
    String[] words = question.split(" ", -1);
    return AdmissionRule.anySees(rules, new Resource(words[1]), words[0].equals("Namespaced"));
  }

  @Test
  void bothFormsOfASampleSayTheSame() {
    for (Line line : SAMPLES) {
      Form form = form(line.text("path"));
      assertThat(Set.copyOf(requireNonNull(AdmissionReader.read(form, protobuf(line)))))
          .isEqualTo(
              Set.copyOf(requireNonNull(AdmissionReader.read(form, Bytes.of(line.text("json"))))));
    }
  }

  private static String webhooks(String rules) {
    return """
    {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration",
     "webhooks":[%s]}"""
        .formatted(rules.isEmpty() ? "" : "{\"rules\":" + rules + "}");
  }

  private static boolean seesWidgets(Form form, String json) {
    List<AdmissionRule> rules = requireNonNull(AdmissionReader.read(form, Bytes.of(json)));
    return AdmissionRule.anySees(rules, WIDGETS, true);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['*']}",
        "{'operations':['*'],'apiGroups':['*'],'resources':['*/*']}",
        "{'operations':['CREATE','DELETE'],'apiGroups':['a','example.com'],'resources':['widgets']}",
        "{'operations':['DELETE'],'apiGroups':['example.com'],'resources':['a','widgets/*']}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['*'],'scope':'Namespaced'}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['*'],'scope':'*'}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['*'],'scope':null}",
        "{'operations':['DELETE'],'apiGroups':['*'],'apiVersions':['v9'],'resources':['*']}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['*'],'scope':'New'}",
        "{'resources':['*'],'operations':['DELETE'],'new':{'a':[1]},'apiGroups':['*']}"
      })
  void aRuleMayLookAtWidgets(String rule) {
    String json = webhooks("[{}," + rule.replace('\'', '"') + "]");
    assertThat(seesWidgets(Form.VALIDATING_WEBHOOKS, json)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'operations':['CREATE','UPDATE','CONNECT'],'apiGroups':['*'],'resources':['*']}",
        "{'operations':['delete'],'apiGroups':['*'],'resources':['*']}",
        "{'operations':['DELETE'],'apiGroups':['other.com'],'resources':['*']}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['gadgets','widgets/status','*/x']}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':['*'],'scope':'Cluster'}",
        "{'operations':['DELETE'],'apiGroups':['*'],'resources':[]}",
        "{'operations':['DELETE'],'apiGroups':[],'resources':['*']}",
        "{'operations':null,'apiGroups':['*'],'resources':['*']}",
        "{}"
      })
  void aRuleDoesNotLookAtWidgets(String rule) {
    String json = webhooks("[" + rule.replace('\'', '"') + "]");
    assertThat(seesWidgets(Form.VALIDATING_WEBHOOKS, json)).isFalse();
  }

  @Test
  void aWebhookWithoutRulesLooksAtNothingAndAPolicyAtEverything() {
    assertThat(seesWidgets(Form.VALIDATING_WEBHOOKS, webhooks(""))).isFalse();
    assertThat(seesWidgets(Form.VALIDATING_WEBHOOKS, webhooks("[]"))).isFalse();
    assertThat(seesWidgets(Form.VALIDATING_WEBHOOKS, webhooks("null"))).isFalse();
    for (String spec : List.of("null", "{}", "{\"matchConstraints\":{\"resourceRules\":[]}}")) {
      String policy =
          """
          {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy",
           "spec":%s}"""
              .formatted(spec);
      assertThat(seesWidgets(Form.VALIDATING_POLICY, policy)).as(spec).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "k8s:enc:aescbc:v1:key:abc",
        "{",
        "[]",
        "{}",
        "{'apiVersion':'admissionregistration.k8s.io/v1','kind':'ValidatingAdmissionPolicy'}",
        "{'apiVersion':'admissionregistration.k8s.io/v2','kind':'ValidatingWebhookConfiguration'}",
        "{'apiVersion':'admissionregistration.k8s.io/v1','kind':'ValidatingWebhookConfiguration',"
            + "'webhooks':{}}",
        "{'apiVersion':'admissionregistration.k8s.io/v1','kind':'ValidatingWebhookConfiguration',"
            + "'webhooks':[[]]}",
        "{'apiVersion':'admissionregistration.k8s.io/v1','kind':'ValidatingWebhookConfiguration',"
            + "'webhooks':[{'rules':[{'operations':'DELETE'}]}]}",
        "{'apiVersion':'admissionregistration.k8s.io/v1','kind':'ValidatingWebhookConfiguration',"
            + "'webhooks':[{'rules':[{'operations':[true]}]}]}"
      })
  void whatIsNoneIsNotUnderstood(String value) {
    Bytes bytes = Bytes.of(value.replace('\'', '"'));
    assertThat(AdmissionReader.read(Form.VALIDATING_WEBHOOKS, bytes)).isNull();
  }

  @Test
  void aGroupThatIsNotKnownMayBeAny() {
    String json = webhooks("[{'operations':['*'],'apiGroups':['new.k8s.io'],'resources':['*']}]");
    List<AdmissionRule> rules =
        requireNonNull(
            AdmissionReader.read(Form.VALIDATING_WEBHOOKS, Bytes.of(json.replace('\'', '"'))));
    assertThat(AdmissionRule.anySees(rules, new Resource("novelties"), true)).isTrue();
    assertThat(AdmissionRule.anySees(rules, new Resource("configmaps"), true)).isFalse();
  }

  @Test
  void noBytesMakeItThrow() {
    Random random = new Random(5);
    for (Line line : SAMPLES) {
      for (Bytes original : List.of(Bytes.of(line.text("json")), protobuf(line))) {
        for (int i = 0; i < 200; i++) {
          byte[] bytes = original.array().clone();
          for (int n = random.nextInt(4); n >= 0; n--) {
            bytes[4 + random.nextInt(bytes.length - 4)] = (byte) random.nextInt(256);
          }
          AdmissionReader.read(form(line.text("path")), Bytes.of(bytes));
        }
      }
    }
  }
}
