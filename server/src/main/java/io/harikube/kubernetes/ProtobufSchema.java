package io.harikube.kubernetes;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.jspecify.annotations.Nullable;

/** A schema in protobuf: a JSONSchemaProps, read anew for each question. */
record ProtobufSchema(ByteString props) implements Schema {
  private static final int DEFAULT = 8;
  private static final int PROPERTIES = 29;
  private static final int ADDITIONAL_PROPERTIES = 30;

  @Override
  public boolean hasDefault() {
    return find(props, DEFAULT) != null;
  }

  @Override
  public @Nullable Schema member(String name) {
    try {
      CodedInputStream in = props.newCodedInput();
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        if (WireFormat.getTagFieldNumber(tag) == PROPERTIES) {
          ByteString entry = in.readBytes();
          ByteString key = find(entry, 1);
          ByteString value = find(entry, 2);
          if (value != null && key != null && key.toStringUtf8().equals(name)) {
            return new ProtobufSchema(value);
          }
        } else {
          ProtobufObject.skip(in, tag);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    ByteString any = find(props, ADDITIONAL_PROPERTIES);
    ByteString schema = any == null ? null : find(any, 2);
    return schema == null ? null : new ProtobufSchema(schema);
  }

  /** The last field of a message with a number, which is of bytes; null if there is none. */
  static @Nullable ByteString find(ByteString message, int number) {
    ByteString found = null;
    try {
      CodedInputStream in = message.newCodedInput();
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        if (WireFormat.getTagFieldNumber(tag) == number) {
          found = in.readBytes();
        } else {
          ProtobufObject.skip(in, tag);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return found;
  }
}
