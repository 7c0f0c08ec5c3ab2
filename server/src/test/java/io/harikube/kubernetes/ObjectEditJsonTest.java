package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.EditPlan.Unblock;
import io.harikube.store.Bytes;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** Random objects in JSON, edited in their text and as trees: both are the same afterwards. */
class ObjectEditJsonTest {
  private static final JsonFactory JSON = new JsonFactory();

  /** What a number is in a tree: its text, so that its form counts. */
  private record Digits(String text) {}

  @Test
  void theTextChangesAsTheTreeDoes() throws NotEditableException {
    for (int seed = 0; seed < 10_000; seed++) {
      Random random = new Random(seed);
      Draft draft = new Draft(random);
      EditPlan plan = EditPlan.random(random);
      Bytes before = Bytes.of(draft.text());
      Bytes after = plan.apply(before);
      Map<String, Object> tree = tree(before);
      change(metadata(tree), plan);
      assertThat(tree(after)).as("seed %s: %s of %s", seed, plan, before).isEqualTo(tree);
      untouched(draft, before, after);
      if (tree(before).equals(tree)) {
        assertThat(after).isSameAs(before);
      }
      ObjectInfo info = (ObjectInfo) ObjectReader.read(before, null);
      assertThat(ObjectReader.read(after, null)).isEqualTo(plan.expected(info));
    }
  }

  /** What is around metadata is as it was, and in it each member that has the same value. */
  private static void untouched(Draft draft, Bytes before, Bytes after) {
    String text = after.toString();
    assertThat(text).startsWith(draft.prefix).endsWith(draft.suffix);
    Map<String, Object> was = metadata(tree(before));
    Map<String, Object> is = metadata(tree(after));
    int from = draft.prefix.length();
    for (Map.Entry<String, String> member : draft.members.entrySet()) {
      String name = member.getKey();
      if (is.containsKey(name) && Objects.equals(is.get(name), was.get(name))) {
        from = text.indexOf(member.getValue(), from);
        assertThat(from).as("%s in %s", member, text).isNotNegative();
        from += member.getValue().length();
      }
    }
    Set<String> kept = new LinkedHashSet<>(is.keySet());
    kept.retainAll(was.keySet());
    Set<String> order = new LinkedHashSet<>(was.keySet());
    order.retainAll(is.keySet());
    assertThat(kept).containsExactlyElementsOf(order);
    if (draft.sorted) {
      assertThat(List.copyOf(is.keySet())).isSorted();
    }
  }

  private static void change(Map<String, Object> metadata, EditPlan plan) {
    owners(metadata, plan);
    if (metadata.get("labels") instanceof Map<?, ?> labels
        && labels.keySet().removeAll(plan.goneLabels())
        && labels.isEmpty()) {
      metadata.remove("labels");
    }
    List<String> finalizers = plan.finalizers();
    if (finalizers != null) {
      Object before = metadata.get("finalizers");
      if (!finalizers.isEmpty()) {
        metadata.put("finalizers", finalizers);
      } else if (before instanceof List<?> list && !list.isEmpty()) {
        metadata.remove("finalizers");
      }
    }
    if (plan.deletedAt() != null) {
      delete(metadata, plan.deletedAt(), plan.gracePeriodSeconds());
    }
  }

  @SuppressWarnings("unchecked")
  private static void owners(Map<String, Object> metadata, EditPlan plan) {
    if (!(metadata.get("ownerReferences") instanceof List<?> owners)) {
      return;
    }
    boolean removed =
        owners.removeIf(
            owner -> {
              Object uid = ((Map<String, Object>) owner).get("uid");
              return plan.goneOwners().contains(uid == null ? "" : uid);
            });
    if (removed && owners.isEmpty()) {
      metadata.remove("ownerReferences");
    }
    for (Object owner : owners) {
      Map<String, Object> members = (Map<String, Object>) owner;
      boolean blocks = Boolean.TRUE.equals(members.get("blockOwnerDeletion"));
      if (plan.unblock() == Unblock.ALL || (plan.unblock() == Unblock.BLOCKING && blocks)) {
        members.put("blockOwnerDeletion", false);
      }
    }
  }

  private static void delete(Map<String, Object> metadata, Instant at, long seconds) {
    Object before = metadata.get("deletionTimestamp");
    if (before == null
        && metadata.get("generation") instanceof Digits(String digits)
        && !digits.equals("0")) {
      metadata.put("generation", new Digits(String.valueOf(Long.parseLong(digits) + 1)));
    }
    if (!(before instanceof String text) || OffsetDateTime.parse(text).toInstant().isAfter(at)) {
      metadata.put("deletionTimestamp", at.toString().substring(0, 19) + "Z");
    }
    metadata.put("deletionGracePeriodSeconds", new Digits(String.valueOf(seconds)));
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> metadata(Map<String, Object> tree) {
    return (Map<String, Object>) Objects.requireNonNull(tree.get("metadata"));
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> tree(Bytes value) {
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), value.toString())) {
      parser.nextToken();
      return (Map<String, Object>) Objects.requireNonNull(node(parser));
    }
  }

  private static @Nullable Object node(JsonParser parser) {
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        Map<String, @Nullable Object> map = new LinkedHashMap<>();
        for (String name = parser.nextName(); name != null; name = parser.nextName()) {
          parser.nextToken();
          assertThat(map).doesNotContainKey(name);
          map.put(name, node(parser));
        }
        yield map;
      }
      case START_ARRAY -> {
        List<@Nullable Object> list = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          list.add(node(parser));
        }
        yield list;
      }
      case VALUE_NULL -> null;
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_STRING -> parser.getString();
      default -> new Digits(parser.getString());
    };
  }

  /** The text of a random object. */
  private static final class Draft {
    private final Random random;
    private final boolean sorted;

    /** The members of metadata, by their names, each in one piece. */
    private final Map<String, String> members = new LinkedHashMap<>();

    private final String prefix;
    private final String inner;
    private final String suffix;

    Draft(Random random) {
      this.random = random;
      List<Runnable> all = new ArrayList<>();
      all.add(() -> member("annotations", "{\"a\":\"}],\\\"\",\"labels\":\"{\\\\\"}"));
      all.add(() -> member("deletionGracePeriodSeconds", any("0", "30", "null", "9")));
      all.add(() -> member("deletionTimestamp", time()));
      all.add(() -> member("finalizers", any("null", "[]", list(), list())));
      all.add(() -> member("generation", any("0", "1", "99", "null")));
      all.add(() -> member("labels", any("null", labels(), labels())));
      all.add(() -> member("managedFields", "[{\"f\":{\"f:ownerReferences\":[]}},null,[[]]]"));
      all.add(() -> member("name", quoted("n")));
      all.add(() -> member("ownerReferences", any("null", owners(), owners())));
      all.add(() -> member("x", any("1.50e+3", "-0", "true", "\"\\ud83d\\ude00\"", "{ }")));
      all.add(() -> member("ä", "[ 1 , [ ] ]"));
      sorted = random.nextBoolean();
      if (!sorted) {
        Collections.shuffle(all, random);
      }
      all.stream().filter(member -> random.nextInt(3) > 0).forEach(Runnable::run);
      String spec = quoted("spec") + ":" + any("{\"metadata\":{\"name\":1.0}}", "[]", "1E400");
      String kind = "\"kind\":\"K\"," + space() + "\"apiVersion\":\"example.com/v1\"";
      boolean metadataFirst = random.nextBoolean();
      prefix = any("", " ", "\n") + "{" + (metadataFirst ? "" : kind + ",") + key("metadata") + "{";
      inner = space() + String.join(",", members.values().stream().map(this::spaced).toList());
      suffix = "}" + (metadataFirst ? "," + kind : "") + "," + spec + space() + "}" + space();
    }

    String text() {
      return prefix + inner + suffix;
    }

    private void member(String name, String value) {
      members.put(name, key(name) + value);
    }

    private String key(String name) {
      return quoted(name) + space() + ":" + space();
    }

    private String spaced(String text) {
      return space() + text + space();
    }

    private String space() {
      return random.nextInt(3) > 0 ? "" : any(" ", "\n", "\t\r\n  ");
    }

    private String any(String... texts) {
      return texts[random.nextInt(texts.length)];
    }

    private String time() {
      return any(
          "null",
          "null",
          "\"2026-03-04T05:06:07Z\"",
          "\"2020-01-01T00:00:00Z\"",
          "\"2026-03-04T05:06:09Z\"",
          "\"2026-03-04T05:06:07.9+00:00\"",
          "\"2026-03-04T00:06:07-05:30\"");
    }

    private String list() {
      List<String> texts = EditPlan.names(random).stream().map(this::quoted).toList();
      return "[" + String.join(",", texts.stream().map(this::spaced).toList()) + "]";
    }

    private String labels() {
      List<String> labels =
          EditPlan.names(random).stream().distinct().map(n -> spaced(key(n) + quoted(n))).toList();
      return "{" + String.join(",", labels) + "}";
    }

    private String owners() {
      List<String> owners = new ArrayList<>();
      for (int n = random.nextInt(4); n > 0; n--) {
        owners.add(spaced(owner()));
      }
      return "[" + space() + String.join(",", owners) + "]";
    }

    private String owner() {
      List<String> owner = new ArrayList<>();
      String uid = EditPlan.NAMES.get(random.nextInt(EditPlan.NAMES.size()));
      owner.add(key("apiVersion") + "\"v1\"");
      owner.add(key("blockOwnerDeletion") + any("true", "false", "null"));
      owner.add(key("uid") + any(quoted(uid), quoted(uid), "null"));
      owner.add(key("z") + any("1.0", "[{}]"));
      owner.removeIf(member -> random.nextInt(4) == 0);
      Collections.shuffle(owner, random);
      return "{" + String.join(",", owner.stream().map(this::spaced).toList()) + "}";
    }

    /** A text in JSON, of whose characters some are escaped without need. */
    private String quoted(String text) {
      StringBuilder quoted = new StringBuilder("\"");
      for (int i = 0; i < text.length(); i++) {
        char c = text.charAt(i);
        if (c < ' ' || c == '"' || c == '\\' || random.nextInt(8) == 0) {
          quoted.append("\\u%04x".formatted((int) c));
        } else {
          // Half of a pair is not escaped without the other half, nor kept without it.
          quoted.append(Character.isSurrogate(c) ? "\\u%04X".formatted((int) c) : c);
        }
      }
      return quoted.append('"').toString();
    }
  }
}
