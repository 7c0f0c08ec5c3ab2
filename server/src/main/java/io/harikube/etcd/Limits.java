package io.harikube.etcd;

import java.time.Duration;

/**
 * What the clients together may have under way. A client that has little under way is not refused
 * because others have much.
 *
 * @param callsPerConnection how many calls of one connection may be open; clients keep what is
 *     beyond that
 * @param openCalls the calls that are open, with streams and all that wait for each other
 * @param requests the requests that are being answered, or wait for it: so many as in etcd
 * @param requestBytes their memory
 * @param runningReads of these, those that read the store at the same time; the others wait, each
 *     connection's on its own
 * @param runningChanges and those that are handed to the writer of the store; large ones count more
 *     than once
 * @param unfinishedBytes the bytes of messages that have not come to their end
 * @param patience how long a client may take nothing of what it is sent, or send nothing of a
 *     message that it has begun
 */
public record Limits(
    int callsPerConnection,
    int openCalls,
    int requests,
    long requestBytes,
    int runningReads,
    int runningChanges,
    long unfinishedBytes,
    Duration patience) {
  private static final int KIB = 1024;

  /** Limits for a process that has {@code heap} bytes. */
  public static Limits ofHeap(long heap) {
    return new Limits(
        4096,
        // An open call takes about 5 KiB.
        Math.clamp(heap / 5 / (5 * KIB), 1_000, 100_000),
        5_000,
        heap / 8,
        // More than there are readers: PostgreSQL is asked for many keys with one statement.
        256,
        // Two of the writer's batches.
        1_024,
        // What the network holds of them is up to three times as much.
        heap / 8,
        Duration.ofSeconds(30));
  }
}
