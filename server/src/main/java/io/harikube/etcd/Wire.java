package io.harikube.etcd;

import com.google.protobuf.ByteOutput;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.harikube.etcd.proto.Event;
import io.harikube.etcd.proto.KeyValue;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Keys, values and events between the wire and the store. Neither way copies a value. */
final class Wire {
  private Wire() {}

  /**
   * The bytes, not copied where protobuf holds them in an array of their own, as it parses them.
   */
  static Bytes bytes(ByteString text) {
    if (text.isEmpty()) {
      return Bytes.EMPTY;
    }
    var tap = new Tap();
    try {
      UnsafeByteOperations.unsafeWriteTo(text, tap);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Bytes.of(tap.taken.length == text.size() ? tap.taken : text.toByteArray());
  }

  static ByteString bytes(Bytes bytes) {
    return bytes.isEmpty() ? ByteString.EMPTY : UnsafeByteOperations.unsafeWrap(bytes.array());
  }

  static KeyRange range(ByteString key, ByteString end) {
    return KeyRange.ofRequest(bytes(key), bytes(end));
  }

  static KeyValue keyValue(io.harikube.store.KeyValue kv) {
    return KeyValue.newBuilder()
        .setKey(bytes(kv.key()))
        .setCreateRevision(kv.createRevision())
        .setModRevision(kv.modRevision())
        .setVersion(kv.version())
        .setValue(bytes(kv.value()))
        .setLease(kv.lease())
        .build();
  }

  static Event event(io.harikube.store.Event event) {
    Event.Builder wire = Event.newBuilder().setKv(keyValue(event.kv()));
    if (event.isDelete()) {
      wire.setType(Event.EventType.DELETE);
    }
    if (event.previous() != null) {
      wire.setPrevKv(keyValue(event.previous()));
    }
    return wire.build();
  }

  /** Takes the array of a byte string that is one whole array; nothing of any other. */
  private static final class Tap extends ByteOutput {
    private static final byte[] NONE = {};
    private byte[] taken = NONE;

    @Override
    public void writeLazy(byte[] array, int offset, int length) {
      if (offset == 0 && length == array.length) {
        taken = array;
      }
    }

    @Override
    public void write(byte[] array, int offset, int length) {
      taken = Arrays.copyOfRange(array, offset, offset + length);
    }

    @Override
    public void write(byte value) {}

    @Override
    public void write(ByteBuffer buffer) {}

    @Override
    public void writeLazy(ByteBuffer buffer) {}
  }
}
