package io.harikube.kubernetes;

import com.google.protobuf.InvalidProtocolBufferException;
import io.harikube.store.Bytes;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;

/**
 * Reads stored values: JSON, and protobuf in Kubernetes' envelope. Everything else is opaque. Never
 * throws, whatever the bytes are; takes memory in proportion to the value at most.
 */
public final class ObjectReader {
  private static final Opaque UNKNOWN_ENCODING = new Opaque("neither JSON nor protobuf");

  private ObjectReader() {}

  /**
   * Reads a value.
   *
   * @param custom what is known of the custom resource whose object this is, or null; without it
   *     only the fields of metadata are known
   */
  public static StoredValue read(Bytes value, @Nullable CustomResource custom) {
    byte[] bytes = value.array();
    try {
      if (ProtobufObject.is(bytes)) {
        return ProtobufObject.read(bytes);
      }
      return JsonObject.is(bytes) ? JsonObject.read(bytes, custom) : UNKNOWN_ENCODING;
    } catch (Unreadable e) {
      return e.opaque();
    } catch (InvalidProtocolBufferException e) {
      return new Opaque("damaged protobuf");
    } catch (JacksonException e) {
      return new Opaque("damaged JSON");
    } catch (IOException | RuntimeException e) {
      return new Opaque("not readable");
    }
  }
}
