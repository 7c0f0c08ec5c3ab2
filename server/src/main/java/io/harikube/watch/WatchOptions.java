package io.harikube.watch;

import java.time.Duration;

/**
 * The limits that watches keep to. Memory is counted by {@link io.harikube.store.Event#weight}; one
 * revision is never split, so that each limit may be passed by the events of one revision.
 *
 * @param inboxBytes the commits that wait to be handed out; what is beyond is read back from the
 *     log
 * @param recentBytes the latest events, kept so that whoever is only a little behind need not read
 *     the log
 * @param streamBytes the messages that wait for one client; watches of a slower client fall back to
 *     reading the log at its pace
 * @param totalBytes the messages that wait for all clients together
 * @param pageBytes the events that are read from the log at once for a watch that is behind, and
 *     sent as one message, as etcd does; fewer if the streams are full
 * @param messageBytes how large a message becomes by putting live revisions together, and the
 *     pieces of a message for a client that accepts pieces; of the pages that were read last, small
 *     ones are kept to be shared by watches that are behind together
 * @param maxMessageBytes the largest message for a client that did not ask for pieces
 * @param concurrentReads how many catch-ups read the log at the same time
 * @param progressInterval how often idle watches that asked for it are told the revision
 */
public record WatchOptions(
    long inboxBytes,
    long recentBytes,
    long streamBytes,
    long totalBytes,
    int pageBytes,
    int messageBytes,
    int maxMessageBytes,
    int concurrentReads,
    Duration progressInterval) {

  public WatchOptions {
    if (streamBytes < 1 || pageBytes < 1 || messageBytes < 1 || concurrentReads < 1) {
      throw new IllegalArgumentException("the limits of watches must be positive");
    }
    if (maxMessageBytes < messageBytes) {
      throw new IllegalArgumentException("maxMessageBytes is less than messageBytes");
    }
  }

  /** How large the messages are that a page is cut into. */
  int batchBytes() {
    return Math.max(pageBytes, messageBytes);
  }

  /** The defaults, meant for a heap of 1 GiB. */
  public static WatchOptions defaults() {
    return new WatchOptions(
        32L << 20,
        32L << 20,
        8L << 20,
        128L << 20,
        12 << 20,
        1 << 20,
        64 << 20,
        2,
        Duration.ofSeconds(5));
  }
}
