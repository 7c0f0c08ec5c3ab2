package io.harikube.kubernetes;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Objects in Kubernetes' protobuf: four bytes, then a {@code runtime.Unknown} that names the kind
 * and holds the object. Metadata is field 1 of every object. Read by field numbers; what is not
 * asked for is skipped.
 */
final class ProtobufObject {
  private static final byte[] MAGIC = {'k', '8', 's', 0};

  private ProtobufObject() {}

  static boolean is(byte[] bytes) {
    return bytes.length >= MAGIC.length
        && bytes[0] == MAGIC[0]
        && bytes[1] == MAGIC[1]
        && bytes[2] == MAGIC[2]
        && bytes[3] == MAGIC[3];
  }

  /** Where the envelope begins. */
  static int start() {
    return MAGIC.length;
  }

  /** The envelope, and where in the value the object is. */
  record Envelope(String apiVersion, String kind, int offset, int length) {}

  static Envelope envelope(byte[] bytes) throws IOException {
    CodedInputStream in =
        CodedInputStream.newInstance(bytes, MAGIC.length, bytes.length - MAGIC.length);
    String[] type = {"", ""};
    int offset = bytes.length;
    int length = 0;
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      switch (WireFormat.getTagFieldNumber(tag)) {
        case 1 -> message(in, tag, t -> type(in, t, type));
        case 2 -> {
          require(tag, WireFormat.WIRETYPE_LENGTH_DELIMITED);
          length = in.readRawVarint32();
          offset = MAGIC.length + in.getTotalBytesRead();
          in.skipRawBytes(length);
        }
        case 3 -> {
          if (!string(in, tag).isEmpty()) {
            throw new Unreadable("encoded content in the envelope");
          }
        }
        case 4 -> {
          String contentType = string(in, tag);
          if (!contentType.isEmpty()
              && !contentType.equals("application/vnd.kubernetes.protobuf")) {
            throw new Unreadable("another content type in the envelope");
          }
        }
        default -> skip(in, tag);
      }
    }
    if (type[0].isEmpty() || type[1].isEmpty()) {
      throw new Unreadable("no Kubernetes object");
    }
    return new Envelope(type[0], type[1], offset, length);
  }

  private static void type(CodedInputStream in, int tag, String[] type) throws IOException {
    int number = WireFormat.getTagFieldNumber(tag);
    if (number == 1 || number == 2) {
      type[number - 1] = string(in, tag);
    } else {
      skip(in, tag);
    }
  }

  static ObjectInfo read(byte[] bytes) throws IOException {
    Envelope envelope = envelope(bytes);
    ObjectDraft draft = new ObjectDraft();
    draft.apiVersion = envelope.apiVersion;
    draft.kind = envelope.kind;
    KindFields fields = BuiltInKinds.fields(envelope.apiVersion, envelope.kind);
    @Nullable Object[] values = new @Nullable Object[fields.slots()];
    CodedInputStream in = CodedInputStream.newInstance(bytes, envelope.offset, envelope.length);
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      if (WireFormat.getTagFieldNumber(tag) == 1) {
        message(in, tag, t -> metadata(in, t, draft));
      } else {
        field(in, tag, fields.tree(), values);
      }
    }
    return draft.build(fields, values);
  }

  private static void metadata(CodedInputStream in, int tag, ObjectDraft draft) throws IOException {
    switch (WireFormat.getTagFieldNumber(tag)) {
      case 1 -> draft.name = string(in, tag);
      case 3 -> draft.namespace = string(in, tag);
      case 5 -> draft.uid = string(in, tag);
      case 9 -> {
        draft.deleting = true;
        skip(in, tag);
      }
      case 10 -> {
        require(tag, WireFormat.WIRETYPE_VARINT);
        draft.deletionGracePeriodSeconds = in.readInt64();
      }
      case 11 -> entry(in, tag, draft.labels);
      case 13 -> draft.owners.add(owner(in, tag));
      case 14 -> draft.finalizers.add(string(in, tag));
      default -> skip(in, tag);
    }
  }

  private static OwnerReference owner(CodedInputStream in, int ownerTag) throws IOException {
    String[] texts = {"", "", "", ""};
    boolean[] flags = new boolean[2];
    message(
        in,
        ownerTag,
        tag -> {
          switch (WireFormat.getTagFieldNumber(tag)) {
            case 1 -> texts[1] = string(in, tag);
            case 3 -> texts[2] = string(in, tag);
            case 4 -> texts[3] = string(in, tag);
            case 5 -> texts[0] = string(in, tag);
            case 6 -> flags[0] = bool(in, tag);
            case 7 -> flags[1] = bool(in, tag);
            default -> skip(in, tag);
          }
        });
    return new OwnerReference(texts[0], texts[1], texts[2], texts[3], flags[0], flags[1]);
  }

  /** One entry of a map of strings. */
  private static void entry(CodedInputStream in, int entryTag, Map<String, String> map)
      throws IOException {
    String[] entry = {"", ""};
    message(
        in,
        entryTag,
        tag -> {
          int number = WireFormat.getTagFieldNumber(tag);
          if (number == 1 || number == 2) {
            entry[number - 1] = string(in, tag);
          } else {
            skip(in, tag);
          }
        });
    map.put(entry[0], entry[1]);
  }

  /** Picks up what the tree asks for of one field of the message that the tree stands for. */
  private static void field(CodedInputStream in, int tag, FieldTree tree, @Nullable Object[] values)
      throws IOException {
    FieldTree child = tree.child(WireFormat.getTagFieldNumber(tag));
    if (child == null || (child.isList() && !child.isEmpty(values))) {
      skip(in, tag);
    } else if (child.isLeaf()) {
      leaf(in, tag, child, values);
    } else {
      message(in, tag, t -> field(in, t, child, values));
    }
  }

  @SuppressWarnings("unchecked")
  private static void leaf(CodedInputStream in, int tag, FieldTree leaf, @Nullable Object[] values)
      throws IOException {
    int slot = leaf.slot();
    switch (leaf.form()) {
      case BOOL -> values[slot] = String.valueOf(bool(in, tag));
      case INT32 -> {
        require(tag, WireFormat.WIRETYPE_VARINT);
        values[slot] = Integer.toString(in.readInt32());
      }
      case LABELS -> {
        Map<String, String> labels = (Map<String, String>) values[slot];
        if (labels == null) {
          labels = new HashMap<>();
          values[slot] = labels;
        }
        entry(in, tag, labels);
      }
      default -> values[slot] = string(in, tag);
    }
  }

  /** What is done with each field of a message. */
  interface Fields {
    void field(int tag) throws IOException;
  }

  static void message(CodedInputStream in, int tag, Fields fields) throws IOException {
    require(tag, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    int limit = in.pushLimit(in.readRawVarint32());
    for (int inner = in.readTag(); inner != 0; inner = in.readTag()) {
      fields.field(inner);
    }
    in.popLimit(limit);
  }

  static String string(CodedInputStream in, int tag) throws IOException {
    require(tag, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    return in.readStringRequireUtf8();
  }

  static boolean bool(CodedInputStream in, int tag) throws IOException {
    require(tag, WireFormat.WIRETYPE_VARINT);
    return in.readBool();
  }

  static void skip(CodedInputStream in, int tag) throws IOException {
    if (!in.skipField(tag)) {
      throw new Unreadable("damaged protobuf");
    }
  }

  static void require(int tag, int wireType) {
    if (WireFormat.getTagWireType(tag) != wireType) {
      throw new Unreadable("a field of another type than expected");
    }
  }
}
