package io.harikube.kubernetes;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import io.harikube.kubernetes.ObjectEdit.Deletion;
import io.harikube.kubernetes.ObjectEdit.Unblock;
import io.harikube.store.Bytes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds where an object in Kubernetes' protobuf changes. The object has been read before: the
 * fields that {@link ProtobufObject} knows are of the types that it wants.
 */
final class ProtobufEdit {
  private static final int OBJECT = 2;
  private static final int METADATA = 1;
  private static final int GENERATION = 7;
  private static final int DELETION_TIMESTAMP = 9;
  private static final int DELETION_GRACE_PERIOD_SECONDS = 10;
  private static final int LABELS = 11;
  private static final int OWNER_REFERENCES = 13;
  private static final int FINALIZERS = 14;

  private static final int OWNER_UID = 4;
  private static final int OWNER_BLOCK = 7;

  /** Of a buffer, in bytes: what is written is short. */
  private static final int SMALL = 64;

  private final byte[] bytes;
  private final ObjectEdit edit;
  private final Splices splices;

  ProtobufEdit(byte[] bytes, ObjectEdit edit, Splices splices) {
    this.bytes = bytes;
    this.edit = edit;
    this.splices = splices;
  }

  /**
   * Where a field is.
   *
   * @param start of the tag
   * @param value behind the tag
   * @param content behind the length; the value if the field has no length
   */
  private record Field(int tag, int start, int value, int content, int end) {
    int number() {
      return WireFormat.getTagFieldNumber(tag);
    }
  }

  /**
   * A message whose fields change.
   *
   * @param end behind the last field
   */
  private record Message(List<Field> fields, int end) {
    List<Field> all(int number) {
      return fields.stream().filter(field -> field.number() == number).toList();
    }

    /** A field that a message has once at most. */
    @Nullable Field single(int number, int wireType) {
      List<Field> found = all(number);
      if (found.isEmpty()) {
        return null;
      }
      if (found.size() > 1) {
        throw new Unreadable("a field twice in a message");
      }
      ProtobufObject.require(found.getFirst().tag, wireType);
      return found.getFirst();
    }

    /** Where a new field goes: before the first one with a greater number. */
    int place(int number) {
      return fields.stream()
          .filter(field -> field.number() > number)
          .findFirst()
          .map(Field::start)
          .orElse(end);
    }
  }

  void run() throws IOException {
    Field object = part(ProtobufObject.start(), bytes.length, OBJECT);
    Field metadata = part(object.content, object.end, METADATA);
    Message message = message(metadata);
    if (edit.deletion != null) {
      delete(message, edit.deletion);
    }
    labels(message);
    owners(message);
    finalizers(message);
    if (!splices.isEmpty()) {
      resize(metadata, splices.growth());
      resize(object, splices.growth());
    }
  }

  /** The only field of its number; several ones would be one message in pieces. */
  private Field part(int from, int to, int number) throws IOException {
    Field part = message(from, to).single(number, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    if (part == null) {
      throw new Unreadable("no metadata");
    }
    return part;
  }

  private void delete(Message metadata, Deletion deletion) throws IOException {
    Field time = metadata.single(DELETION_TIMESTAMP, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    Field generation = metadata.single(GENERATION, WireFormat.WIRETYPE_VARINT);
    if (time == null && generation != null && number(generation) > 0) {
      long next = Math.addExact(number(generation), 1);
      set(metadata, generation, GENERATION, out -> out.writeInt64(GENERATION, next));
    }
    if (time == null || instant(time).isAfter(deletion.at())) {
      Bytes at = time(deletion.at());
      set(
          metadata,
          time,
          DELETION_TIMESTAMP,
          out -> out.writeByteArray(DELETION_TIMESTAMP, at.array()));
    }
    Field seconds = metadata.single(DELETION_GRACE_PERIOD_SECONDS, WireFormat.WIRETYPE_VARINT);
    if (seconds == null || number(seconds) != deletion.gracePeriodSeconds()) {
      set(
          metadata,
          seconds,
          DELETION_GRACE_PERIOD_SECONDS,
          out -> out.writeInt64(DELETION_GRACE_PERIOD_SECONDS, deletion.gracePeriodSeconds()));
    }
  }

  /** Both fields, also if 0, as Kubernetes writes them; it keeps no fractions. */
  private static Bytes time(Instant at) throws IOException {
    return encode(
        out -> {
          out.writeInt64(1, at.getEpochSecond());
          out.writeInt32(2, 0);
        });
  }

  /** A time without any field is Go's zero time, which is long ago. */
  private Instant instant(Field time) throws IOException {
    if (time.content == time.end) {
      return Instant.MIN;
    }
    Field seconds = message(time).single(1, WireFormat.WIRETYPE_VARINT);
    return Instant.ofEpochSecond(seconds == null ? 0 : number(seconds));
  }

  private void labels(Message metadata) throws IOException {
    if (edit.goneLabels.isEmpty()) {
      return;
    }
    for (Field label : metadata.all(LABELS)) {
      if (edit.goneLabels.contains(text(message(label), 1))) {
        splices.cut(label.start, label.end);
      }
    }
  }

  private void owners(Message metadata) throws IOException {
    boolean untouched = edit.goneOwners.isEmpty() && edit.unblock == Unblock.NONE;
    if (untouched) {
      return;
    }
    for (Field owner : metadata.all(OWNER_REFERENCES)) {
      Message message = message(owner);
      if (edit.goneOwners.contains(text(message, OWNER_UID))) {
        splices.cut(owner.start, owner.end);
      } else if (edit.unblock != Unblock.NONE) {
        unblock(owner, message);
      }
    }
  }

  private void unblock(Field owner, Message message) throws IOException {
    Field block = message.single(OWNER_BLOCK, WireFormat.WIRETYPE_VARINT);
    boolean changes = block == null ? edit.unblock == Unblock.ALL : number(block) != 0;
    if (changes) {
      int before = splices.growth();
      set(message, block, OWNER_BLOCK, out -> out.writeBool(OWNER_BLOCK, false));
      resize(owner, splices.growth() - before);
    }
  }

  private void finalizers(Message metadata) throws IOException {
    List<String> finalizers = edit.finalizers;
    if (finalizers == null) {
      return;
    }
    List<Field> fields = metadata.all(FINALIZERS);
    List<String> before = new ArrayList<>();
    for (Field field : fields) {
      before.add(text(field));
    }
    if (before.equals(finalizers)) {
      return;
    }
    fields.forEach(field -> splices.cut(field.start, field.end));
    int at = fields.isEmpty() ? metadata.place(FINALIZERS) : fields.getFirst().start;
    for (String finalizer : finalizers) {
      splices.insert(at, encode(out -> out.writeString(FINALIZERS, finalizer)));
    }
  }

  /** Puts a field in the place of another one, or where it belongs by its number. */
  private void set(Message message, @Nullable Field before, int number, Writing field)
      throws IOException {
    if (before == null) {
      splices.insert(message.place(number), encode(field));
    } else {
      splices.replace(before.start, before.end, encode(field));
    }
  }

  /** Corrects the length that is written before a content that grows or, if negative, shrinks. */
  private void resize(Field field, int growth) throws IOException {
    if (growth != 0) {
      int length = Math.addExact(field.end - field.content, growth);
      splices.replace(field.value, field.content, encode(out -> out.writeUInt32NoTag(length)));
    }
  }

  private interface Writing {
    void to(CodedOutputStream out) throws IOException;
  }

  private static Bytes encode(Writing writing) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes, SMALL);
    writing.to(out);
    out.flush();
    return Bytes.of(bytes.toByteArray());
  }

  private Message message(Field field) throws IOException {
    return message(field.content, field.end);
  }

  private Message message(int from, int to) throws IOException {
    List<Field> fields = new ArrayList<>();
    CodedInputStream in = in(from, to);
    int start = from;
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      int value = from + in.getTotalBytesRead();
      int content = value;
      if (WireFormat.getTagWireType(tag) == WireFormat.WIRETYPE_LENGTH_DELIMITED) {
        int length = in.readRawVarint32();
        content = from + in.getTotalBytesRead();
        in.skipRawBytes(length);
      } else {
        ProtobufObject.skip(in, tag);
      }
      int end = from + in.getTotalBytesRead();
      fields.add(new Field(tag, start, value, content, end));
      start = end;
    }
    return new Message(fields, to);
  }

  private CodedInputStream in(int from, int to) {
    return CodedInputStream.newInstance(bytes, from, to - from);
  }

  private long number(Field field) throws IOException {
    return in(field.value, field.end).readInt64();
  }

  private String text(Field field) throws IOException {
    return in(field.value, field.end).readStringRequireUtf8();
  }

  /** Of a text that is there more than once the last one counts; missing is empty. */
  private String text(Message message, int number) throws IOException {
    List<Field> found = message.all(number);
    return found.isEmpty() ? "" : text(found.getLast());
  }
}
