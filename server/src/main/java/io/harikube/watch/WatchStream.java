package io.harikube.watch;

import org.jspecify.annotations.Nullable;

/**
 * The watches of one client stream, and the one ordered queue of what is to be sent to it.
 *
 * <p>Requests may come from any thread and never block. One consumer takes the messages, at the
 * pace of the client.
 */
public interface WatchStream extends AutoCloseable {

  /** Makes a watch; the answer comes as a message. */
  void create(WatchRequest request);

  /** Ends a watch; the answer comes as a message. An unknown id is ignored, as etcd does. */
  void cancel(long watchId);

  /**
   * Asks for a progress message for the whole stream, once all its watches have caught up. Requests
   * that have not been answered yet are answered together; a stream without watches does not
   * answer.
   */
  void progress();

  /**
   * Waits for the next message.
   *
   * @throws InterruptedException if the thread has been interrupted, or the stream closed
   */
  WatchMessage take() throws InterruptedException;

  /**
   * The next message, if there is one now. To ask for it says that the one before needs no memory
   * any more.
   *
   * @throws java.util.concurrent.CancellationException if there is none and the stream is closed
   */
  @Nullable WatchMessage poll();

  /**
   * Has {@code listener} called, by any thread, whenever there may be a message since the last
   * poll, and when the stream is closed. It must neither block nor throw.
   */
  void listen(Runnable listener);

  /** Ends all watches of the stream. */
  @Override
  void close();
}
