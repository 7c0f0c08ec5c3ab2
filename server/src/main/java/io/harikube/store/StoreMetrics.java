package io.harikube.store;

import java.util.function.LongSupplier;

/**
 * What a store tells about its work, for whoever measures it. Called on hot paths and from any
 * thread: implementations count, and neither block nor throw. The three lists below are all there
 * is to report; how it is published is not the store's business.
 */
public interface StoreMetrics {
  /** Nobody measures. */
  StoreMetrics NONE = new StoreMetrics() {};

  /** Things that happen, counted since the start. */
  enum Count {
    /** Ranges answered, those of transactions included. */
    RANGES,
    /** Keys put, those of transactions included. */
    PUTS,
    /** Keys deleted by requests, those of transactions included. */
    DELETES,
    /** Transactions of more than one operation that were done. */
    TXNS,
    /** Transactions that the database refused, or whose commit was lost. */
    FAILED_TXNS,
    /** Leases granted. */
    LEASES_GRANTED,
    /** Leases that were revoked by a request. */
    LEASES_REVOKED,
    /** Leases renewed. */
    LEASES_RENEWED,
    /** Leases that expired. */
    LEASES_EXPIRED,
    /** Rows of the log that compaction has removed. */
    COMPACTED_ROWS,
    /** Statements that took longer than the configured threshold. */
    SLOW_STATEMENTS,
    /** Times that the writer lost its connection to the database and made a new one. */
    RECONNECTS,
  }

  /** Things that take time, in nanoseconds. */
  enum Time {
    /** One batch of the writer: from its first statement until it is durable. */
    BATCH,
    /**
     * The database's commit of one batch: on SQLite, the sync of the write-ahead log alone; on
     * PostgreSQL, together with the statements that write.
     */
    COMMIT,
    /** How long a transaction waited until the writer took it. */
    QUEUE_WAIT,
    /** One step of a compaction: how long writes had to wait for it. */
    COMPACTION_STEP,
    /** A whole compaction, its pauses included. */
    COMPACTION,
    /** One checkpoint of SQLite's write-ahead log. */
    CHECKPOINT,
    /** A range that is no part of a transaction. */
    RANGE,
    /** A checksum over the store. */
    HASH,
    /** A snapshot. */
    SNAPSHOT,
    /** A defragmentation. */
    DEFRAGMENTATION,
  }

  /** States, read when somebody looks. */
  enum Level {
    /** Transactions that wait for the writer. */
    QUEUE,
    /** Bytes of SQLite's write-ahead log. */
    WAL_BYTES,
    /** Connections to the database for reading. */
    CONNECTIONS,
    /** Connections that somebody reads with. */
    CONNECTIONS_BUSY,
    /** Reads that wait for a connection. */
    CONNECTIONS_AWAITED,
  }

  /** {@code what} happened {@code times} times. */
  default void count(Count what, long times) {}

  /** {@code what} took so long. */
  default void time(Time what, long nanos) {}

  /** One commit holds so many transactions. */
  default void batch(int transactions) {}

  /**
   * From now on {@code what} is to be read here; a later call takes the place of an earlier one.
   *
   * @param level called from any thread; must neither block nor throw
   */
  default void level(Level what, LongSupplier level) {}
}
