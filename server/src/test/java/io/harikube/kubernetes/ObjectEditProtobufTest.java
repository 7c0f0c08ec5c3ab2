package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.UnknownFieldSet;
import io.harikube.kubernetes.EditPlan.Unblock;
import io.harikube.store.Bytes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Random objects in protobuf, edited in their bytes and as messages: both are the same after. */
class ObjectEditProtobufTest {
  private static final UnknownFieldSet UNKNOWN = unknown();
  private static final ByteString MAGIC = ByteString.copyFromUtf8("k8s\0");

  @Test
  void theBytesChangeAsTheMessageDoes() throws Exception {
    for (int seed = 0; seed < 10_000; seed++) {
      Random random = new Random(seed);
      DynamicMessage before = metadata(random);
      EditPlan plan = EditPlan.random(random);
      DynamicMessage after = change(before, plan);
      Bytes value = value(before.toByteString());
      Bytes edited = plan.apply(value);
      assertThat(edited)
          .as("seed %s: %s of %s", seed, plan, before)
          .isEqualTo(value(after.toByteString()));
      if (before.equals(after)) {
        assertThat(edited).isSameAs(value);
      }
      ObjectInfo info = (ObjectInfo) ObjectReader.read(value, null);
      assertThat(ObjectReader.read(edited, null)).isEqualTo(plan.expected(info));
    }
  }

  @Test
  void theOrderOfFieldsDoesNotMatter() throws Exception {
    for (int seed = 0; seed < 5_000; seed++) {
      Random random = new Random(seed);
      ByteString before = shuffled(random, metadata(random));
      EditPlan plan = EditPlan.random(random);
      Bytes edited = plan.apply(value(before));
      DynamicMessage expected = change(DynamicMessage.parseFrom(type("ObjectMeta"), before), plan);
      assertThat(metadata(edited)).as("seed %s: %s of %s", seed, plan, before).isEqualTo(expected);
    }
  }

  @Test
  void lengthsMayBeLongerThanNeedBe() throws Exception {
    // The length of an owner reference in two bytes, a true in three, of another number than 1.
    ByteString owner = bytes(0x22, 1, 'u', 0x38, 0x82, 0x80, 0);
    ByteString before = bytes(0x6a, 0x80 | owner.size(), 0).concat(owner);
    Bytes edited = ObjectEdit.of(value(before)).unblockOwners().bytes();
    assertThat(edited).isEqualTo(value(bytes(0x6a, 5, 0x22, 1, 'u', 0x38, 0)));
    Bytes value = value(before);
    assertThat(ObjectEdit.of(value).finalizers(List.of()).bytes()).isSameAs(value);
  }

  @Test
  void whatIsNotCertainIsNotEdited() {
    ByteString name = bytes(0x0a, 1, 'n');
    ByteString metadata = bytes(0x0a, name.size()).concat(name);
    ByteString type = bytes(0x0a, 7, 0x0a, 2, 'v', '1', 0x12, 1, 'K');
    ByteString raw = bytes(0x12, metadata.size()).concat(metadata);
    assertThat(refuses(type.concat(raw))).isFalse();
    List<ByteString> envelopes =
        List.of(
            type,
            raw,
            type.concat(raw).concat(raw),
            type.concat(bytes(0x12, 0)),
            type.concat(bytes(0x12, metadata.size() * 2)).concat(metadata).concat(metadata),
            type.concat(raw).concat(bytes(0x1a, 4, 'g', 'z', 'i', 'p')),
            type.concat(raw).concat(bytes(0x22, 1, 'x')),
            type.concat(raw).concat(bytes(0)));
    for (ByteString envelope : envelopes) {
      assertThat(refuses(envelope)).as("%s", envelope).isTrue();
    }
    ByteString[] fields = {
      bytes(0x38, 1, 0x38, 1),
      bytes(0x3a, 1, 1),
      bytes(0x38).concat(bytes(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)),
      bytes(0x4a, 0, 0x4a, 0),
      bytes(0x48, 0),
      bytes(0x4a, 4, 8, 1, 8, 1),
      bytes(0x50, 0, 0x50, 0),
      bytes(0x52, 0),
      bytes(0x6a, 4, 0x38, 1, 0x38, 1),
      bytes(0x6a, 2, 0x3a, 0),
      bytes(0x72, 1, 0xff),
      bytes(0x73, 0x74),
      bytes(0x9b, 6),
    };
    for (ByteString field : fields) {
      ByteString object = bytes(0x0a, field.size()).concat(field);
      ByteString envelope = type.concat(bytes(0x12, object.size())).concat(object);
      assertThat(refuses(envelope)).as("%s", field).isTrue();
    }
  }

  @Test
  void aTruncatedObjectIsNotEdited() {
    byte[] whole = value(metadata(new Random(1)).toByteString()).array();
    for (int length = 0; length < whole.length - 50; length++) {
      ByteString part = ByteString.copyFrom(whole, 0, length);
      assertThat(refuses(part.size() < 4 ? part : part.substring(4))).isTrue();
    }
    // What is behind the object, in the envelope, may be missing without a sign of it.
    for (int length = whole.length - 50; length < whole.length; length++) {
      ByteString part = ByteString.copyFrom(whole, 0, length).substring(4);
      refuses(part);
    }
  }

  private static boolean refuses(ByteString envelope) {
    Bytes value = Bytes.of(MAGIC.concat(envelope).toByteArray());
    try {
      Bytes edited =
          ObjectEdit.of(value)
              .withoutOwners(Set.of("u"))
              .unblockOwners()
              .finalizers(List.of("f"))
              .markDeleting(EditPlan.NOW, 0)
              .bytes();
      assertThat(ObjectReader.read(edited, null)).isInstanceOf(ObjectInfo.class);
      return false;
    } catch (NotEditableException e) {
      return true;
    }
  }

  private static DynamicMessage change(DynamicMessage before, EditPlan plan) {
    DynamicMessage.Builder metadata = before.toBuilder();
    replace(
        metadata,
        "ownerReferences",
        messages(before, "ownerReferences").stream()
            .filter(owner -> !plan.goneOwners().contains(text(owner, "uid")))
            .map(owner -> unblocked(owner, plan.unblock()))
            .toList());
    replace(
        metadata,
        "labels",
        messages(before, "labels").stream()
            .filter(label -> !plan.goneLabels().contains(text(label, "key")))
            .toList());
    if (plan.finalizers() != null) {
      replace(metadata, "finalizers", plan.finalizers());
    }
    if (plan.deletedAt() != null) {
      delete(metadata, plan.deletedAt().getEpochSecond(), plan.gracePeriodSeconds());
    }
    return metadata.build();
  }

  private static DynamicMessage unblocked(DynamicMessage owner, Unblock unblock) {
    FieldDescriptor block = field(owner, "blockOwnerDeletion");
    boolean changes =
        unblock == Unblock.ALL
            || (unblock == Unblock.BLOCKING && owner.getField(block).equals(true));
    return changes ? owner.toBuilder().setField(block, false).build() : owner;
  }

  private static void delete(DynamicMessage.Builder metadata, long at, long grace) {
    FieldDescriptor generation = field(metadata, "generation");
    FieldDescriptor time = field(metadata, "deletionTimestamp");
    long number = (Long) metadata.getField(generation);
    boolean before = metadata.hasField(time);
    if (!before && number > 0) {
      metadata.setField(generation, number + 1);
    }
    DynamicMessage was = (DynamicMessage) metadata.getField(time);
    if (!before || (Long) was.getField(field(was, "seconds")) > at) {
      metadata.setField(time, time(at));
    }
    metadata.setField(field(metadata, "deletionGracePeriodSeconds"), grace);
  }

  private static DynamicMessage metadata(Random random) {
    DynamicMessage.Builder metadata = builder("ObjectMeta");
    metadata.setField(field(metadata, "name"), "n");
    if (random.nextBoolean()) {
      metadata.setField(field(metadata, "generation"), (long) random.nextInt(200) - 10);
    }
    if (random.nextInt(3) == 0) {
      long seconds = EditPlan.NOW.getEpochSecond() + random.nextInt(3) - 1;
      DynamicMessage time = random.nextInt(5) > 0 ? time(seconds) : builder("Time").build();
      metadata.setField(field(metadata, "deletionTimestamp"), time);
    }
    if (random.nextInt(3) == 0) {
      metadata.setField(field(metadata, "deletionGracePeriodSeconds"), random.nextInt(3) * 30L);
    }
    // Map entries that are there twice are no concern of ours: both go or both stay.
    for (String name : EditPlan.names(random)) {
      DynamicMessage.Builder label = builder("Entry");
      label.setField(field(label, "key"), name).setField(field(label, "value"), "v");
      metadata.addRepeatedField(field(metadata, "labels"), label.build());
    }
    for (String name : EditPlan.names(random)) {
      metadata.addRepeatedField(field(metadata, "ownerReferences"), owner(random, name));
    }
    replace(metadata, "finalizers", EditPlan.names(random));
    if (random.nextBoolean()) {
      metadata.setUnknownFields(UNKNOWN);
    }
    return metadata.build();
  }

  private static DynamicMessage owner(Random random, String uid) {
    DynamicMessage.Builder owner = builder("OwnerReference");
    // Texts that are long make lengths that change from two bytes to one.
    owner.setField(field(owner, "name"), "n".repeat(random.nextInt(4) * 40));
    if (!uid.isEmpty() || random.nextBoolean()) {
      owner.setField(field(owner, "uid"), uid);
    }
    if (random.nextInt(3) > 0) {
      owner.setField(field(owner, "blockOwnerDeletion"), random.nextBoolean());
    }
    if (random.nextBoolean()) {
      owner.setUnknownFields(UNKNOWN);
    }
    return owner.build();
  }

  private static DynamicMessage time(long seconds) {
    DynamicMessage.Builder time = builder("Time");
    return time.setField(field(time, "seconds"), seconds).setField(field(time, "nanos"), 0).build();
  }

  /** The value around metadata, with fields before and behind that are not known. */
  private static Bytes value(ByteString metadata) {
    DynamicMessage.Builder object = builder("Object");
    object.setField(field(object, "metadata"), metadata).setUnknownFields(UNKNOWN);
    DynamicMessage.Builder type = builder("TypeMeta");
    type.setField(field(type, "apiVersion"), "example.com/v1").setField(field(type, "kind"), "K");
    DynamicMessage.Builder unknown = builder("Unknown");
    unknown
        .setField(field(unknown, "typeMeta"), type.build())
        .setField(field(unknown, "raw"), object.build().toByteString())
        .setField(field(unknown, "contentEncoding"), "")
        .setField(field(unknown, "contentType"), "")
        .setUnknownFields(UNKNOWN);
    return Bytes.of(MAGIC.concat(unknown.build().toByteString()).toByteArray());
  }

  private static DynamicMessage metadata(Bytes value) throws InvalidProtocolBufferException {
    ByteString envelope = ByteString.copyFrom(value.array()).substring(MAGIC.size());
    DynamicMessage unknown = DynamicMessage.parseFrom(type("Unknown"), envelope);
    ByteString raw = (ByteString) unknown.getField(field(unknown, "raw"));
    DynamicMessage object = DynamicMessage.parseFrom(type("Object"), raw);
    ByteString metadata = (ByteString) object.getField(field(object, "metadata"));
    return DynamicMessage.parseFrom(type("ObjectMeta"), metadata);
  }

  /** The fields of a message in any order, elements of the same list too. */
  private static ByteString shuffled(Random random, DynamicMessage message) {
    List<ByteString> pieces = new ArrayList<>();
    for (Map.Entry<FieldDescriptor, Object> field : message.getAllFields().entrySet()) {
      FieldDescriptor type = field.getKey();
      DynamicMessage.Builder piece = DynamicMessage.newBuilder(message.getDescriptorForType());
      if (type.isRepeated()) {
        for (Object element : (List<?>) field.getValue()) {
          pieces.add(piece.clone().addRepeatedField(type, element).build().toByteString());
        }
      } else {
        pieces.add(piece.setField(type, field.getValue()).build().toByteString());
      }
    }
    pieces.add(message.getUnknownFields().toByteString());
    Collections.shuffle(pieces, random);
    return ByteString.copyFrom(pieces);
  }

  private static void replace(DynamicMessage.Builder message, String name, List<?> elements) {
    message.clearField(field(message, name));
    elements.forEach(element -> message.addRepeatedField(field(message, name), element));
  }

  private static List<DynamicMessage> messages(DynamicMessage message, String name) {
    return ((List<?>) message.getField(field(message, name)))
        .stream().map(DynamicMessage.class::cast).toList();
  }

  private static String text(DynamicMessage message, String name) {
    return (String) message.getField(field(message, name));
  }

  private static FieldDescriptor field(MessageOrBuilder message, String name) {
    return message.getDescriptorForType().findFieldByName(name);
  }

  private static Descriptor type(String name) {
    return KubernetesMessages.type(name);
  }

  private static DynamicMessage.Builder builder(String name) {
    return DynamicMessage.newBuilder(type(name));
  }

  private static ByteString bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return ByteString.copyFrom(bytes);
  }

  private static UnknownFieldSet unknown() {
    UnknownFieldSet group =
        UnknownFieldSet.newBuilder()
            .addField(1, UnknownFieldSet.Field.newBuilder().addVarint(-1).build())
            .build();
    return UnknownFieldSet.newBuilder()
        .addField(
            100,
            UnknownFieldSet.Field.newBuilder()
                .addVarint(300)
                .addFixed32(1)
                .addFixed64(2)
                .addLengthDelimited(ByteString.copyFromUtf8("\n\1x"))
                .addGroup(group)
                .build())
        .build();
  }
}
