package io.harikube.etcd;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import io.harikube.etcd.proto.ResponseHeader;
import io.harikube.etcd.proto.SnapshotResponse;
import io.harikube.store.Store;
import java.io.IOException;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import org.jspecify.annotations.Nullable;

/**
 * Sends a snapshot as etcd's clients take it: chunks with the number of bytes that remain, then the
 * SHA-256 of all of them. etcdctl writes one after the other into a file, and accepts it only if
 * what comes before the checksum is a multiple of 512 bytes; zero bytes fill it up to that.
 */
final class SnapshotSender extends OutputStream implements Store.SnapshotSink {
  static final int CHUNK = 64 << 10;
  private static final int BLOCK = 512;

  private final Answer<SnapshotResponse> answer;
  private final Headers headers;
  private final String version;
  private final MessageDigest digest;
  private @Nullable ResponseHeader header;
  private byte[] chunk = new byte[0];
  private int filled;
  private long size;
  private long padded;
  private long written;

  SnapshotSender(Answer<SnapshotResponse> answer, Headers headers, String version) {
    this.answer = answer;
    this.headers = headers;
    this.version = version;
    try {
      this.digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  @Override
  public OutputStream begin(long bytes, long revision) {
    header = headers.at(revision);
    size = bytes;
    padded = (bytes + BLOCK - 1) / BLOCK * BLOCK;
    nextChunk();
    return this;
  }

  @Override
  public boolean isCancelled() {
    return answer.isCancelled();
  }

  @Override
  public void write(int value) throws IOException {
    write(new byte[] {(byte) value}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    int from = offset;
    int left = length;
    while (left > 0) {
      if (filled == chunk.length) {
        // Also if there is no chunk because there was nothing more to come.
        throw new IOException("the snapshot is larger than was said: " + size);
      }
      int part = Math.min(left, chunk.length - filled);
      System.arraycopy(bytes, from, chunk, filled, part);
      filled += part;
      from += part;
      left -= part;
      if (filled == chunk.length) {
        sendChunk();
      }
    }
  }

  /** Fills up the last block and sends the checksum. */
  void finish() throws IOException {
    long sent = written + filled;
    if (header == null || sent != size) {
      throw new IOException("the snapshot has " + sent + " bytes instead of " + size);
    }
    write(new byte[(int) (padded - size)]);
    push(UnsafeByteOperations.unsafeWrap(digest.digest()));
  }

  private void sendChunk() throws IOException {
    digest.update(chunk);
    written += chunk.length;
    push(UnsafeByteOperations.unsafeWrap(chunk));
    nextChunk();
  }

  private void nextChunk() {
    chunk = new byte[(int) Math.min(CHUNK, padded - written)];
    filled = 0;
  }

  private void push(ByteString blob) throws IOException {
    SnapshotResponse.Builder message =
        SnapshotResponse.newBuilder()
            .setRemainingBytes(padded - written)
            .setBlob(blob)
            .setVersion(version);
    if (header != null) {
      message.setHeader(header);
    }
    boolean sent;
    try {
      sent = answer.push(message.build());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      sent = false;
    }
    if (!sent) {
      throw new IOException("the client has given up", RequestCheck.refuse(Errors.CANCELED));
    }
  }
}
