package io.harikube.sql;

import java.time.Duration;

/**
 * How a store works.
 *
 * @param endpoint the database
 * @param readers how many connections read at the same time; SQLite has others for single keys,
 *     PostgreSQL takes some of these for them
 * @param batchOperations how many transactions one commit takes at the most
 * @param eventBytes how many bytes of events of one commit are kept in memory for watchers; more
 *     are read back from the log
 * @param compactionBatch how many rows one step of the compaction looks at
 * @param compactionReadDeadline how long a compaction waits for a read of an old revision
 * @param walBytes how large SQLite's write-ahead log may grow
 * @param slowQuery statements that take longer are logged
 * @param minLeaseTtl the shortest time to live that a lease is granted, in seconds
 * @param pool how connections to a database server are kept
 * @param server says which server this is, also after a restart: one whose database another server
 *     has taken does not take it back as long as that one lives; 0 for one that nothing is known of
 * @param admission says whether the store that is found is the one that is wanted
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
    int minLeaseTtl,
    Pool pool,
    long server,
    Admission admission) {

  /** Of a server that nothing is known of, and that takes any store. */
  public SqlOptions(
      Endpoint endpoint,
      int readers,
      int batchOperations,
      int eventBytes,
      int compactionBatch,
      Duration compactionReadDeadline,
      long walBytes,
      Duration slowQuery,
      int minLeaseTtl,
      Pool pool) {
    this(
        endpoint,
        readers,
        batchOperations,
        eventBytes,
        compactionBatch,
        compactionReadDeadline,
        walBytes,
        slowQuery,
        minLeaseTtl,
        pool,
        0,
        Admission.ANY);
  }

  /**
   * How connections to a database server are kept; a file has no such connections.
   *
   * @param idle how many stay although nobody uses them; the others are closed after {@code
   *     idleTime}
   * @param idleTime zero for never
   * @param lifetime after how long a connection is replaced; zero for never
   */
  public record Pool(int idle, Duration idleTime, Duration lifetime) {}

  /** The same for another server. */
  public SqlOptions as(long otherServer) {
    return with(otherServer, admission);
  }

  /** The same for certain stores. */
  public SqlOptions admitting(Admission stores) {
    return with(server, stores);
  }

  private SqlOptions with(long otherServer, Admission stores) {
    return new SqlOptions(
        endpoint,
        readers,
        batchOperations,
        eventBytes,
        compactionBatch,
        compactionReadDeadline,
        walBytes,
        slowQuery,
        minLeaseTtl,
        pool,
        otherServer,
        stores);
  }

  /** The defaults. */
  public static SqlOptions of(Endpoint endpoint) {
    return new SqlOptions(
        endpoint,
        endpoint instanceof Endpoint.Postgres ? 6 : 4,
        512,
        16 << 20,
        500,
        Duration.ofSeconds(30),
        64L << 20,
        Duration.ofSeconds(1),
        2,
        new Pool(4, Duration.ofMinutes(2), Duration.ZERO));
  }
}
