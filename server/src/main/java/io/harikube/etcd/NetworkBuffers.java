package io.harikube.etcd;

import io.netty.buffer.AbstractByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.CompositeByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
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

  private static final ThreadLocal<@Nullable IntConsumer> COUNTING = new ThreadLocal<>();

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

  /**
   * Runs {@code sending}, with the bytes of the buffers that it fills told to {@code counter}; when
   * they are taken, by the event loop, as negative ones.
   */
  static void counting(IntConsumer counter, Runnable sending) {
    COUNTING.set(counter);
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
    IntConsumer counter = bytes < PIECE / 2 ? null : COUNTING.get();
    if (counter == null) {
      return pool.directBuffer(bytes, maxBytes);
    }
    int piece = Math.min(bytes, PIECE);
    ByteBuf buffer = pool.directBuffer(piece, piece);
    return new Counted(this, buffer.writerIndex(piece), piece, counter);
  }

  @Override
  public boolean isDirectBufferPooled() {
    return true;
  }

  /** A buffer that is smaller than what was asked for: whoever writes goes on in the next. */
  private static final class Counted extends CompositeByteBuf {
    private final int bytes;
    private final IntConsumer counter;

    Counted(ByteBufAllocator pool, ByteBuf buffer, int bytes, IntConsumer counter) {
      super(pool, true, 1);
      this.bytes = bytes;
      this.counter = counter;
      addComponent(false, 0, buffer);
      counter.accept(bytes);
    }

    @Override
    protected void deallocate() {
      super.deallocate();
      counter.accept(-bytes);
    }
  }
}
