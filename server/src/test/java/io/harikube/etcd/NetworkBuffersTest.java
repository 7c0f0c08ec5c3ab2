package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.channel.CoalescingBufferQueue;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class NetworkBuffersTest {
  private static final int MESSAGE = 600_005;

  private final NetworkBuffers buffers = new NetworkBuffers(1);
  private final AtomicLong counted = new AtomicLong();

  /** Writes a message as grpc-java does: the first buffer for all of it, the others for a value. */
  private List<ByteBuf> write(int seed) {
    List<ByteBuf> written = new ArrayList<>();
    NetworkBuffers.counting(
        MESSAGE,
        counted::addAndGet,
        () -> {
          int hint = MESSAGE;
          int left = MESSAGE;
          while (left > 0) {
            ByteBuf buffer = buffers.directBuffer(hint, hint);
            for (; buffer.isWritable() && left > 0; left--) {
              buffer.writeByte(seed + left);
            }
            written.add(buffer);
            hint = 4096;
          }
        });
    return written;
  }

  @Test
  void allBytesAreCountedUntilTheyAreTaken() {
    List<ByteBuf> written = write(1);
    assertThat(counted.get()).isBetween((long) MESSAGE, MESSAGE + 4096L);
    assertThat(written).hasSizeLessThanOrEqualTo(1 + MESSAGE / (64 << 10));
    written.forEach(ByteBuf::release);
    assertThat(counted.get()).isZero();
  }

  /**
   * The network still reads some of a buffer when Netty puts the rest together with what comes
   * next. Where it does that within the buffer, the network reads memory that others write into.
   */
  @Test
  void whatTheNetworkReadsStaysWhereItIs() {
    EmbeddedChannel channel = new EmbeddedChannel();
    CoalescingBufferQueue queue = new CoalescingBufferQueue(channel);
    List<ByteBuf> written = write(1);
    written.forEach(queue::add);
    List<Integer> sizes = written.stream().map(ByteBuf::capacity).toList();
    List<ByteBuf> sent = new ArrayList<>();
    for (int bytes = 100; !queue.isEmpty(); bytes = 100_000) {
      sent.add(queue.remove(bytes, channel.newPromise()));
      assertThat(written.stream().map(ByteBuf::capacity)).containsExactlyElementsOf(sizes);
    }
    int left = MESSAGE;
    for (ByteBuf part : sent) {
      while (part.isReadable()) {
        assertThat(part.readByte()).isEqualTo((byte) (1 + left--));
      }
    }
    assertThat(left).isZero();
    sent.forEach(ByteBuf::release);
    assertThat(counted.get()).isZero();
    channel.finishAndReleaseAll();
  }
}
