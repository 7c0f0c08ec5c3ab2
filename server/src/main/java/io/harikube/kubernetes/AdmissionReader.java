package io.harikube.kubernetes;

import static io.harikube.kubernetes.ProtobufObject.message;
import static io.harikube.kubernetes.ProtobufObject.skip;
import static io.harikube.kubernetes.ProtobufObject.string;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import io.harikube.store.Bytes;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Reads the configurations of admission webhooks and policies, in JSON and in protobuf. The numbers
 * and names are those of k8s.io/api/admissionregistration, the same in all of its versions.
 */
final class AdmissionReader {
  private static final Set<String> VERSIONS =
      Set.of(
          "admissionregistration.k8s.io/v1",
          "admissionregistration.k8s.io/v1beta1",
          "admissionregistration.k8s.io/v1alpha1");

  /** The number of {@code webhooks} and of {@code spec}. */
  private static final int CONTENT = 2;

  /** What is read. */
  enum Form {
    MUTATING_WEBHOOKS("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    VALIDATING_WEBHOOKS("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
    MUTATING_POLICY("mutatingadmissionpolicies", "MutatingAdmissionPolicy"),
    VALIDATING_POLICY("validatingadmissionpolicies", "ValidatingAdmissionPolicy");

    private final String path;
    private final String kind;

    Form(String path, String kind) {
      this.path = path;
      this.kind = kind;
    }

    /** Where such configurations are kept. */
    Resource resource() {
      return new Resource(path);
    }

    private boolean isPolicy() {
      return this == MUTATING_POLICY || this == VALIDATING_POLICY;
    }

    private void require(String apiVersion, String itsKind) {
      if (!VERSIONS.contains(apiVersion) || !itsKind.equals(kind)) {
        throw new Unreadable("no " + kind);
      }
    }
  }

  private final List<AdmissionRule> rules = new ArrayList<>();

  /** Whether there is any rule, of whatever operation. */
  private boolean anyRule;

  private AdmissionReader() {}

  /**
   * The rules by which a configuration looks at deletions; null if it cannot be understood. Never
   * throws, whatever the bytes are.
   */
  static @Nullable List<AdmissionRule> read(Form form, Bytes value) {
    byte[] bytes = value.array();
    try {
      AdmissionReader reader = new AdmissionReader();
      if (ProtobufObject.is(bytes)) {
        reader.protobuf(form, bytes);
      } else if (JsonObject.is(bytes)) {
        reader.json(form, object(JsonTree.read(bytes)));
      } else {
        return null;
      }
      // A policy without rules is one for everything, other than a webhook without.
      return form.isPolicy() && !reader.anyRule ? List.of(AdmissionRule.ALL) : reader.rules;
    } catch (IOException | RuntimeException e) {
      return null;
    }
  }

  private void add(AdmissionRule.Draft rule) {
    anyRule = true;
    rules.addAll(rule.build());
  }

  private void protobuf(Form form, byte[] bytes) throws IOException {
    ProtobufObject.Envelope envelope = ProtobufObject.envelope(bytes);
    form.require(envelope.apiVersion(), envelope.kind());
    CodedInputStream in = CodedInputStream.newInstance(bytes, envelope.offset(), envelope.length());
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      if (WireFormat.getTagFieldNumber(tag) != CONTENT) {
        skip(in, tag);
      } else if (form.isPolicy()) {
        message(in, tag, spec -> only(in, spec, 2, this::matchConstraints));
      } else {
        message(in, tag, webhook -> only(in, webhook, 3, this::rule));
      }
    }
  }

  /** Reads a field of a message. */
  private interface Field {
    void read(CodedInputStream in, int tag) throws IOException;
  }

  private static void only(CodedInputStream in, int tag, int number, Field field)
      throws IOException {
    if (WireFormat.getTagFieldNumber(tag) == number) {
      field.read(in, tag);
    } else {
      skip(in, tag);
    }
  }

  private void matchConstraints(CodedInputStream in, int matchTag) throws IOException {
    message(in, matchTag, named -> only(in, named, 3, this::namedRule));
  }

  private void namedRule(CodedInputStream in, int namedTag) throws IOException {
    message(in, namedTag, rule -> only(in, rule, 2, this::rule));
  }

  private void rule(CodedInputStream in, int ruleTag) throws IOException {
    AdmissionRule.Draft rule = new AdmissionRule.Draft();
    message(
        in,
        ruleTag,
        tag -> {
          switch (WireFormat.getTagFieldNumber(tag)) {
            case 1 -> rule.operation(string(in, tag));
            case 2 -> message(in, tag, field -> resources(in, field, rule));
            default -> skip(in, tag);
          }
        });
    add(rule);
  }

  private static void resources(CodedInputStream in, int tag, AdmissionRule.Draft rule)
      throws IOException {
    switch (WireFormat.getTagFieldNumber(tag)) {
      case 1 -> rule.group(string(in, tag));
      case 3 -> rule.resource(string(in, tag));
      case 4 -> rule.scope(string(in, tag));
      default -> skip(in, tag);
    }
  }

  private void json(Form form, Map<?, ?> object) {
    form.require(text(object.get("apiVersion")), text(object.get("kind")));
    if (form.isPolicy()) {
      Map<?, ?> match = object(object(object.get("spec")).get("matchConstraints"));
      elements(match.get("resourceRules"), this::rule);
    } else {
      elements(
          object.get("webhooks"), webhook -> elements(object(webhook).get("rules"), this::rule));
    }
  }

  private void rule(@Nullable Object value) {
    Map<?, ?> json = object(value);
    AdmissionRule.Draft rule = new AdmissionRule.Draft();
    elements(json.get("operations"), operation -> rule.operation(text(operation)));
    elements(json.get("apiGroups"), group -> rule.group(text(group)));
    elements(json.get("resources"), resource -> rule.resource(text(resource)));
    rule.scope(text(json.get("scope")));
    add(rule);
  }

  // As in Go, null is the empty value of any type, and a value of another type an error.

  private static Map<?, ?> object(@Nullable Object value) {
    return value == null ? Map.of() : required(Map.class, value);
  }

  private static String text(@Nullable Object value) {
    return value == null ? "" : required(String.class, value);
  }

  private static void elements(@Nullable Object value, Consumer<@Nullable Object> each) {
    if (value != null) {
      for (Object element : required(List.class, value)) {
        each.accept(element);
      }
    }
  }

  private static <T> T required(Class<T> type, Object value) {
    if (!type.isInstance(value)) {
      throw new Unreadable("a field of another type than expected");
    }
    return type.cast(value);
  }
}
