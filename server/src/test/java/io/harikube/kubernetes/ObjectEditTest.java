package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.kubernetes.Samples.Line;
import io.harikube.store.Bytes;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** What both forms have in common, and the cases of JSON one by one. */
class ObjectEditTest {
  private static final Set<String> LABELLED_AS_THEIR_TEMPLATE =
      Set.of(
          "ReplicationController", "ReplicaSet", "Job", "Deployment", "StatefulSet", "DaemonSet");

  private static final Instant AT = Instant.parse("2026-03-04T05:06:07.890Z");

  @Test
  void ownersGoByTheirUid() {
    UnaryOperator<ObjectEdit> edit = e -> e.withoutOwners(Set.of("u1", "ü\""));
    same(edit, "");
    same(edit, "'ownerReferences':null");
    same(edit, "'ownerReferences':[]");
    same(edit, "'ownerReferences':[{'uid':'u2'},{},null,{'uid':null}]");
    becomes(edit, "'name':'n','ownerReferences':[{'uid':'u1'}]", "'name':'n'");
    becomes(edit, "'ownerReferences':[{'uid':'u1'}] , 'uid':'u1'", "'uid':'u1'");
    becomes(edit, " 'ownerReferences':[{'uid':'u1'}] ", "  ");
    becomes(
        edit,
        "'ownerReferences': [ {'uid':'\\u0075\\u0031'} , {'uid':'u2', 'x':[1.0]} ]",
        "'ownerReferences': [ {'uid':'u2', 'x':[1.0]} ]");
    becomes(
        edit,
        "'ownerReferences': [ {'uid':'u2'} ,{'name':'x','uid':'\\u00fc\\\"'}, {'uid':'u1'}, {} ]",
        "'ownerReferences': [ {'uid':'u2'}, {} ]");
  }

  @Test
  void ownersCeaseToBlock() {
    UnaryOperator<ObjectEdit> some = ObjectEdit::unblockOwners;
    UnaryOperator<ObjectEdit> all = ObjectEdit::unblockAllOwners;
    String owners =
        "'ownerReferences':[null,{'uid':'u','blockOwnerDeletion' : %s},{'kind':'k'},{ }]";
    same(some, owners.formatted("false"));
    same(some, owners.formatted("null"));
    becomes(some, owners.formatted("true"), owners.formatted("false"));
    String given = "'ownerReferences':[{'blockOwnerDeletion': %s,'uid':'u'},{'kind':'k'}%s]";
    String after = given.formatted("false", ",{'blockOwnerDeletion':false }");
    after = after.replace("{'kind'", "{'blockOwnerDeletion':false,'kind'");
    becomes(all, given.formatted("true", ",{ }"), after);
    becomes(all, given.formatted("null", ",{ }"), after);
    becomes(
        all,
        "'ownerReferences':[{'apiVersion':'v1' }]",
        "'ownerReferences':[{'apiVersion':'v1','blockOwnerDeletion':false }]");
    refused(all, "'ownerReferences':[null]");
    becomes(
        e -> all.apply(e).withoutOwners(Set.of("")),
        "'ownerReferences':[null],'uid':''",
        "'uid':''");
  }

  @Test
  void labelsGo() {
    UnaryOperator<ObjectEdit> edit = e -> e.withoutLabels(Set.of("a", "b"));
    same(edit, "'a':1,'labels':null,'annotations':{'a':''}");
    same(edit, "'labels':{ }");
    same(edit, "'labels':{'c':'a'}");
    becomes(edit, "'labels':{ '\\u0061':'' , 'c':'' }", "'labels':{ 'c':'' }");
    becomes(edit, "'labels':{ 'c':'' , 'b':'' , 'd':'' }", "'labels':{ 'c':'' , 'd':'' }");
    becomes(edit, "'annotations':{},'labels':{'b':'','a':''} ,'z':0", "'annotations':{} ,'z':0");
  }

  @Test
  void finalizersAreReplaced() {
    UnaryOperator<ObjectEdit> edit = e -> e.finalizers(List.of("b", "ä\"\\\n"));
    same(edit, "'finalizers':[ '\\u0062','\\u00e4\\\"\\\\\\n' ]");
    String after = "'finalizers':['b','ä\\\"\\\\\\n']";
    becomes(edit, "", after);
    becomes(edit, "'finalizers':null", after);
    becomes(edit, "'a':0,'finalizers':['a'] ,'z':0", "'a':0," + after + " ,'z':0");
    becomes(edit, "'a':0 , 'z':0", "'a':0 , " + after + ",'z':0");
    becomes(edit, "'a':0 ", "'a':0," + after + " ");
    becomes(edit, " 'z':0", " " + after + ",'z':0");
    UnaryOperator<ObjectEdit> none = e -> e.finalizers(List.of());
    same(none, "'a':0");
    same(none, "'finalizers':[]");
    same(none, "'finalizers':null");
    becomes(none, "'finalizers':['']", "");
  }

  @Test
  void deletionIsMarkedAsTheApiServerDoesIt() {
    UnaryOperator<ObjectEdit> edit = e -> e.markDeleting(AT, 0);
    String grace = "'deletionGracePeriodSeconds':0";
    String time = "'deletionTimestamp':'2026-03-04T05:06:07Z'";
    String both = grace + "," + time;
    becomes(edit, "", both);
    becomes(edit, "'generation':0", both + ",'generation':0");
    becomes(edit, "'generation':null", both + ",'generation':null");
    becomes(edit, "'generation': 41 ", both + ",'generation': 42 ");
    becomes(edit, "'deletionTimestamp':null,'generation':1", both + ",'generation':2");
    same(edit, both + ",'generation':1");
    becomes(edit, time + ",'generation':1", both + ",'generation':1");
    becomes(edit, grace.replace('0', '9') + "," + time, both);
    becomes(edit, grace.replace("0", "null") + "," + time, both);
    // One that is earlier stays, in whatever form, one that is later does not.
    String zone = "'deletionTimestamp':'2026-03-04T0%s:06:07.5+02:00'";
    same(edit, grace + "," + zone.formatted("7"));
    becomes(edit, grace + "," + zone.formatted("8"), both);
  }

  @Test
  void severalChangesAreMadeAtOnce() {
    becomes(
        e ->
            e.withoutOwners(Set.of("o"))
                .unblockOwners()
                .withoutLabels(Set.of("l"))
                .finalizers(List.of("foregroundDeletion"))
                .markDeleting(AT, 0),
        "'generation':1,'labels':{'l':''},'name':'n','ownerReferences':[{'uid':'o'},"
            + "{'blockOwnerDeletion':true}]",
        "'deletionGracePeriodSeconds':0,'deletionTimestamp':'2026-03-04T05:06:07Z',"
            + "'finalizers':['foregroundDeletion'],'generation':2,'name':'n','ownerReferences':["
            + "{'blockOwnerDeletion':false}]");
    becomes(
        e -> e.withoutOwners(Set.of("o")).withoutLabels(Set.of("l")).markDeleting(AT, 0),
        " 'labels':{'l':''},'ownerReferences':[{'uid':'o'}]",
        "'deletionGracePeriodSeconds':0,'deletionTimestamp':'2026-03-04T05:06:07Z' ");
  }

  @Test
  void whatIsNotCertainIsNotEdited() {
    UnaryOperator<ObjectEdit> edit =
        e ->
            e.withoutOwners(Set.of("u"))
                .unblockOwners()
                .withoutLabels(Set.of("l"))
                .finalizers(List.of("f"))
                .markDeleting(AT, 0);
    refused(edit, "'name':'a','name':'b'");
    refused(edit, "'\\u0061':'a','a':'b'");
    refused(edit, "'labels':{'a':'','a':''}");
    refused(edit, "'ownerReferences':[{'uid':'u','uid':'v'}]");
    refused(edit, "'generation':1.0");
    refused(edit, "'generation':'1'");
    refused(edit, "'generation':9223372036854775807");
    refused(edit, "'generation':9223372036854775808");
    refused(edit, "'deletionGracePeriodSeconds':'1'");
    refused(edit, "'deletionTimestamp':''");
    refused(edit, "'deletionTimestamp':0");
    refused(edit, "'deletionTimestamp':{}");
    refused(edit, "'finalizers':'f'");
    refused(edit, "'ownerReferences':{}");
    for (String text :
        List.of(
            "",
            "{}",
            "[]",
            "k8s:enc:aescbc:v1:key1:xyz",
            "{'kind':'K','apiVersion':'g/v1'}",
            "{'kind':'K','apiVersion':'g/v1','metadata':null}",
            "{'kind':'K','apiVersion':'g/v1','metadata':{},'metadata':{}}",
            "{'kind':'K','apiVersion':'g/v1','metadata':{},'\\u006detadata':null}",
            "{'kind':'K','apiVersion':'g/v1','metadata':{}",
            "{'kind':'K','apiVersion':'g/v1','metadata':{}}}")) {
      assertThatThrownBy(() -> edit.apply(ObjectEdit.of(json(text))).bytes())
          .as(text)
          .isInstanceOf(NotEditableException.class);
    }
  }

  @Test
  void mistakesOfTheCallerAreTold() {
    ObjectEdit edit = ObjectEdit.of(Bytes.EMPTY);
    for (String text : List.of("\ud800", "a\udc00", "\udc00\ud800")) {
      assertThatThrownBy(() -> edit.finalizers(List.of(text)))
          .isInstanceOf(IllegalArgumentException.class);
    }
    for (String at : List.of("1969-12-31T23:59:59Z", "+10000-01-01T00:00:00Z")) {
      assertThatThrownBy(() -> edit.markDeleting(Instant.parse(at), 0))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() -> edit.markDeleting(AT, -1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void depthAndLengthDoNotMatter() throws NotEditableException {
    String deep = "{'a':".repeat(9_000) + "1" + "}".repeat(9_000);
    String text = "a".repeat(10_000_000);
    becomes(
        e -> e.finalizers(List.of()),
        "'finalizers':['" + text + "'],'x':" + deep + ",'y':'" + text + "'",
        "'x':" + deep + ",'y':'" + text + "'");
    String many = "{'uid':'u'},".repeat(100_000) + "{'uid':'v'}";
    becomes(
        e -> e.withoutOwners(Set.of("u")),
        "'ownerReferences':[" + many + "]",
        "'ownerReferences':[{'uid':'v'}]");
  }

  @Test
  void objectsOfTheSamplesReadAsTheChangesSay() throws NotEditableException {
    Random random = new Random(11);
    for (Line line : Samples.read("objects.jsonl")) {
      Bytes json = Bytes.of(line.text("json"));
      for (Bytes value : List.of(json, protobuf(line))) {
        assertThat(ObjectEdit.of(value).bytes()).isSameAs(value);
        for (int i = 0; i < 20; i++) {
          check(plan(random, value), value);
        }
      }
      EditPlan plan = plan(random, json);
      assertThat(read(plan.apply(json))).isEqualTo(read(plan.apply(protobuf(line))));
    }
    for (Line line : Samples.read("custom.jsonl")) {
      for (String name : List.of("json", "definition", "stored")) {
        if (line.has(name)) {
          Bytes value = Bytes.of(line.text(name));
          check(plan(random, value), value);
        }
      }
    }
  }

  /** Whatever the bytes are, the outcome is an object that reads as it should, or a refusal. */
  @Test
  void noBytesAreDamaged() {
    Random random = new Random(12);
    int edited = 0;
    int refused = 0;
    for (Line line : Samples.read("objects.jsonl")) {
      for (Bytes value : List.of(Bytes.of(line.text("json").strip()), protobuf(line))) {
        for (int i = 0; i < 50; i++) {
          Bytes mutated = Bytes.of(mutated(random, value.array()));
          try {
            check(plan(random, value), mutated);
            edited++;
          } catch (NotEditableException e) {
            assertThat(e.reason()).isNotEmpty();
            refused++;
          }
        }
      }
    }
    assertThat(edited).isGreaterThan(1000);
    assertThat(refused).isGreaterThan(1000);
  }

  @Test
  void aTruncatedObjectIsNotEditedInJson() {
    byte[] whole = json("'name':'n'", "1").array();
    for (int length = 0; length < whole.length; length++) {
      Bytes value = Bytes.of(Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> ObjectEdit.of(value).finalizers(List.of("f")).bytes())
          .isInstanceOf(NotEditableException.class);
    }
  }

  private static void check(EditPlan plan, Bytes value) throws NotEditableException {
    Bytes after = plan.apply(value);
    StoredValue before = ObjectReader.read(value, null);
    assertThat(before).isInstanceOf(ObjectInfo.class);
    assertThat(ObjectReader.read(after, null))
        .as("%s of %s", plan, value)
        .isEqualTo(plan.expected((ObjectInfo) before));
    assertThat(plan.apply(after)).isSameAs(after);
  }

  /** A plan about what the object has. Labels that may be there by default are left alone. */
  private static EditPlan plan(Random random, Bytes value) {
    EditPlan plan = EditPlan.random(random);
    ObjectInfo info = read(value);
    Set<String> owners = new HashSet<>(plan.goneOwners());
    info.ownerReferences().stream()
        .filter(owner -> random.nextBoolean())
        .forEach(owner -> owners.add(owner.uid()));
    Set<String> labels = new HashSet<>(plan.goneLabels());
    info.labels().keySet().stream().filter(l -> random.nextBoolean()).forEach(labels::add);
    labels.remove("kubernetes.io/metadata.name");
    return new EditPlan(
        owners,
        plan.unblock(),
        LABELLED_AS_THEIR_TEMPLATE.contains(info.kind()) ? Set.of() : labels,
        plan.finalizers(),
        plan.deletedAt(),
        plan.gracePeriodSeconds());
  }

  private static byte[] mutated(Random random, byte[] original) {
    byte[] bytes = original.clone();
    for (int n = 1 + random.nextInt(2); n > 0 && bytes.length > 4; n--) {
      int at = 4 + random.nextInt(bytes.length - 4);
      switch (random.nextInt(8)) {
        case 0 -> bytes = Arrays.copyOf(bytes, at);
        case 1, 2 -> bytes[at] = (byte) random.nextInt(256);
        case 3 -> {
          int from = 4 + random.nextInt(bytes.length - 4);
          int length = Math.min(random.nextInt(20), bytes.length - Math.max(at, from));
          System.arraycopy(bytes.clone(), from, bytes, at, length);
        }
        default -> bytes[at] ^= (byte) (1 << random.nextInt(8));
      }
    }
    return bytes;
  }

  private static void same(UnaryOperator<ObjectEdit> edit, String metadata) {
    Bytes value = json(metadata, "0");
    assertThat(edited(edit, value)).as(metadata).isSameAs(value);
  }

  /** A change of metadata, wherever metadata is in the object. */
  private static void becomes(UnaryOperator<ObjectEdit> edit, String before, String after) {
    assertThat(edited(edit, json(before, "0"))).isEqualTo(json(after, "0"));
    String first =
        "\n {'metadata': {%s} , 'kind':'K','spec':{'metadata':{}},'apiVersion':'g/v1'}\n";
    assertThat(edited(edit, json(first.formatted(before)))).isEqualTo(json(first.formatted(after)));
  }

  private static Bytes edited(UnaryOperator<ObjectEdit> edit, Bytes value) {
    try {
      return edit.apply(ObjectEdit.of(value)).bytes();
    } catch (NotEditableException e) {
      throw new AssertionError(value.toString(), e);
    }
  }

  private static void refused(UnaryOperator<ObjectEdit> edit, String metadata) {
    assertThatThrownBy(() -> edit.apply(ObjectEdit.of(json(metadata, "0"))).bytes())
        .as(metadata)
        .isInstanceOf(NotEditableException.class);
  }

  private static Bytes json(String metadata, String spec) {
    return json(
        "{'apiVersion':'g/v1','kind':'K','metadata':{" + metadata + "},'spec':" + spec + "}");
  }

  private static Bytes json(String text) {
    return Bytes.of(text.replace('\'', '"'));
  }

  private static ObjectInfo read(Bytes value) {
    return (ObjectInfo) ObjectReader.read(value, null);
  }

  private static Bytes protobuf(Line line) {
    return Bytes.of(Base64.getDecoder().decode(line.text("protobuf")));
  }
}
