package io.harikube.etcd;

import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.UnpooledDirectByteBuf;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The buffers of the connections. Those that a message is written into while somebody counts tell
 * when the network has taken them, or dropped them: grpc-java itself tells it only when nearly all
 * of a message is gone.
 */
final class NetworkBuffers extends AbstractByteBufAllocator {
  /** How large the pieces are that are counted, in bytes. */
  private static final int PIECE = 64 << 10;

  // As grpc-java's own: chunks of 2 MiB, which go back when they are empty.
  private static final int PAGE_BYTES = 8 << 10;
  private static final int MAX_ORDER = 8;

  /** The smallest piece, in bytes; grpc-java asks for no less. */
  private static final int LITTLE = 4 << 10;

  private static final ThreadLocal<@Nullable Message> COUNTING = new ThreadLocal<>();

  private final PooledByteBufAllocator pool;

  /**
   * @param arenas how many parts the pool has, so that threads do not wait for each other
   */
  NetworkBuffers(int arenas) {
    super(true);
    pool =
        new PooledByteBufAllocator(
            true,
            arenas,
            arenas,
            PAGE_BYTES,
            MAX_ORDER,
            PooledByteBufAllocator.defaultSmallCacheSize(),
            PooledByteBufAllocator.defaultNormalCacheSize(),
            PooledByteBufAllocator.defaultUseCacheForAllThreads());
  }

  /** A message that is being written, of which there is so much to come. */
  private static final class Message {
    final IntConsumer counter;
    long left;

    Message(long bytes, IntConsumer counter) {
      this.left = bytes;
      this.counter = counter;
    }

    /** How large the next buffer is: what is asked for knows only the value that comes next. */
    int piece() {
      int piece = Math.clamp(left, LITTLE, PIECE);
      left -= piece;
      return piece;
    }
  }

  /**
   * Runs {@code sending}, with the bytes of the buffers that it fills told to {@code counter}; when
   * they are taken, by the event loop, as negative ones.
   *
   * @param bytes how much is sent
   */
  static void counting(long bytes, IntConsumer counter, Runnable sending) {
    COUNTING.set(new Message(bytes, counter));
    try {
      sending.run();
    } finally {
      COUNTING.remove();
    }
  }

  @Override
  protected ByteBuf newHeapBuffer(int bytes, int maxBytes) {
    return pool.heapBuffer(bytes, maxBytes);
  }

  @Override
  protected ByteBuf newDirectBuffer(int bytes, int maxBytes) {
    Message message = COUNTING.get();
    if (message == null) {
      return pool.directBuffer(bytes, maxBytes);
    }
    int piece = message.piece();
    return new Counted(this, pool.directBuffer(piece, piece), piece, message.counter);
  }

  @Override
  public boolean isDirectBufferPooled() {
    return true;
  }

  /**
   * A buffer of another size than what was asked for: whoever writes goes on in the next. It is no
   * composite one, since Netty would add to it what is sent next, and move its bytes, while the
   * network still reads them where they were.
   */
  private static final class Counted extends UnpooledDirectByteBuf {
    private final ByteBuf pooled;
    private final int bytes;
    private final IntConsumer counter;

    Counted(ByteBufAllocator alloc, ByteBuf pooled, int bytes, IntConsumer counter) {
      super(alloc, pooled.nioBuffer(0, bytes), bytes);
      this.pooled = pooled;
      this.bytes = bytes;
      this.counter = counter;
      clear();
      counter.accept(bytes);
    }

    @Override
    protected void deallocate() {
      super.deallocate();
      pooled.release();
      counter.accept(-bytes);
    }
  }
}
