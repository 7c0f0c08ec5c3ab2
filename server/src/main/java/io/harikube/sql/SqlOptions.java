package io.harikube.sql;

import java.time.Duration;

/**
 * How a store works.
 *
 * @param endpoint the database
 * @param readers how many connections read at the same time
 * @param batchOperations how many transactions one commit takes at the most
 * @param eventBytes how many bytes of events of one commit are kept in memory for watchers; more
 *     are read back from the log
 * @param compactionBatch how many rows one step of the compaction looks at
 * @param compactionReadDeadline how long a compaction waits for a read of an old revision
 * @param walBytes how large SQLite's write-ahead log may grow
 * @param slowQuery statements that take longer are logged
 * @param minLeaseTtl the shortest time to live that a lease is granted, in seconds
 */
public record SqlOptions(
    Endpoint endpoint,
    int readers,
    int batchOperations,
    int eventBytes,
    int compactionBatch,
    Duration compactionReadDeadline,
    long walBytes,
    Duration slowQuery,
    int minLeaseTtl) {

  /** The defaults. */
  public static SqlOptions of(Endpoint endpoint) {
    return new SqlOptions(
        endpoint,
        4,
        512,
        16 << 20,
        500,
        Duration.ofSeconds(30),
        64L << 20,
        Duration.ofSeconds(1),
        2);
  }
}
