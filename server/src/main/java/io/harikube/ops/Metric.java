package io.harikube.ops;

import static io.harikube.ops.Metric.Kind.COUNTER;
import static io.harikube.ops.Metric.Kind.GAUGE;
import static io.harikube.ops.Metric.Kind.HISTOGRAM;
import static io.harikube.ops.Metric.Kind.LEVEL;
import static io.harikube.ops.Metric.Kind.TOTAL;

import java.util.List;

/**
 * Every metric that the server publishes, besides those of the Java runtime ({@code jvm_*}, {@code
 * process_*}). Where the meaning is etcd's, so are name, type, labels and buckets: dashboards and
 * alerts made for etcd go on working. The help text is the constant's documentation.
 */
public enum Metric {
  HAS_LEADER(LEVEL, "etcd_server_has_leader", "1 if the store's database answers, else 0."),
  IS_LEADER(LEVEL, "etcd_server_is_leader", "1 if this server is the writer of its database."),
  LEADER_CHANGES(
      LEVEL,
      "etcd_server_leader_changes_seen_total",
      "How often this server has seen a new writer of the database, itself included."),
  SERVER_ID(GAUGE, "etcd_server_id", "1 for the label with the member's id.", "server_id"),
  SERVER_VERSION(
      GAUGE,
      "etcd_server_version",
      "1 for the label with the version of etcd that is stood in for.",
      "server_version"),
  QUOTA(
      LEVEL,
      "etcd_server_quota_backend_bytes",
      "The size that the database may reach by --quota-backend-bytes; without it, what it can: on"
          + " SQLite its size and what the file system has left, on PostgreSQL without a bound."),
  PROPOSALS_COMMITTED(
      LEVEL, "etcd_server_proposals_committed_total", "Commits of the store since it was made."),
  PROPOSALS_APPLIED(
      LEVEL, "etcd_server_proposals_applied_total", "The same: a commit is applied at once."),
  PROPOSALS_PENDING(
      LEVEL, "etcd_server_proposals_pending", "Transactions that wait for the writer."),
  PROPOSALS_FAILED(
      COUNTER,
      "etcd_server_proposals_failed_total",
      "Transactions that the database refused, or whose commit was lost."),
  HEALTH_SUCCESS(GAUGE, "etcd_server_health_success", "Health checks by /health that succeeded."),
  HEALTH_FAILURES(GAUGE, "etcd_server_health_failures", "Health checks by /health that failed."),
  HEALTHCHECK(GAUGE, "etcd_server_healthcheck", "The last result of each check.", "type", "name"),
  HEALTHCHECKS(
      COUNTER,
      "etcd_server_healthchecks_total",
      "Checks by /livez and /readyz.",
      "type",
      "name",
      "status"),
  LEASES_EXPIRED(COUNTER, "etcd_debugging_server_lease_expired_total", "Leases that have expired."),
  LEASES_GRANTED(COUNTER, "etcd_debugging_lease_granted_total", "Leases granted."),
  LEASES_REVOKED(COUNTER, "etcd_debugging_lease_revoked_total", "Leases revoked by a request."),
  LEASES_RENEWED(COUNTER, "etcd_debugging_lease_renewed_total", "Leases renewed."),
  DB_SIZE(LEVEL, "etcd_mvcc_db_total_size_in_bytes", "The bytes that the database takes."),
  DB_SIZE_IN_USE(
      LEVEL, "etcd_mvcc_db_total_size_in_use_in_bytes", "The bytes of it that are in use."),
  RANGES(COUNTER, "etcd_mvcc_range_total", "Ranges answered."),
  RANGE(
      HISTOGRAM,
      "etcd_server_range_duration_seconds",
      "How long single ranges took.",
      Buckets.exponential(0.0001, 20)),
  PUTS(COUNTER, "etcd_mvcc_put_total", "Keys put."),
  DELETES(COUNTER, "etcd_mvcc_delete_total", "Keys deleted by requests."),
  TXNS(COUNTER, "etcd_mvcc_txn_total", "Transactions of more than one operation."),
  HASH(
      HISTOGRAM,
      "etcd_mvcc_hash_duration_seconds",
      "Checksums over the store.",
      Buckets.exponential(0.01, 15)),
  CURRENT_REVISION(
      LEVEL, "etcd_debugging_mvcc_current_revision", "The current revision of the store."),
  COMPACT_REVISION(
      LEVEL, "etcd_debugging_mvcc_compact_revision", "The compacted revision of the store."),
  WATCH_STREAMS(LEVEL, "etcd_debugging_mvcc_watch_stream_total", "Watch streams."),
  WATCHERS(LEVEL, "etcd_debugging_mvcc_watcher_total", "Watchers."),
  SLOW_WATCHERS(
      LEVEL,
      "etcd_debugging_mvcc_slow_watcher_total",
      "Watchers that have not caught up with the present and read the log."),
  PENDING_EVENTS(
      LEVEL, "etcd_debugging_mvcc_pending_events_total", "Events in the queues of all streams."),
  EVENTS(TOTAL, "etcd_debugging_mvcc_events_total", "Events handed to watch streams."),
  COMPACTED_ROWS(
      COUNTER, "etcd_debugging_mvcc_db_compaction_keys_total", "Rows that compaction removed."),
  COMPACTION_PAUSE(
      HISTOGRAM,
      "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
      "How long writes waited for one step of a compaction.",
      Buckets.exponential(1, 13)),
  COMPACTION_TOTAL(
      HISTOGRAM,
      "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
      "How long whole compactions took, their pauses included.",
      Buckets.exponential(100, 14)),
  WAL_FSYNC(
      HISTOGRAM,
      "etcd_disk_wal_fsync_duration_seconds",
      "The database's commits: on SQLite the sync of its write-ahead log alone, on PostgreSQL with the statements that write.",
      Buckets.exponential(0.001, 14)),
  BACKEND_COMMIT(
      HISTOGRAM,
      "etcd_disk_backend_commit_duration_seconds",
      "The writer's batches, from the first statement until they are durable.",
      Buckets.exponential(0.001, 14)),
  DEFRAGMENTATION(
      HISTOGRAM,
      "etcd_disk_backend_defrag_duration_seconds",
      "Defragmentations.",
      Buckets.exponential(0.1, 13)),
  SNAPSHOT(
      HISTOGRAM,
      "etcd_disk_backend_snapshot_duration_seconds",
      "Snapshots.",
      Buckets.exponential(0.01, 17)),
  SENT_BYTES(
      COUNTER, "etcd_network_client_grpc_sent_bytes_total", "Bytes of messages sent to clients."),
  RECEIVED_BYTES(
      COUNTER,
      "etcd_network_client_grpc_received_bytes_total",
      "Bytes of messages received from clients."),
  GRPC_STARTED(
      COUNTER,
      "grpc_server_started_total",
      "Calls started.",
      "grpc_type",
      "grpc_service",
      "grpc_method"),
  GRPC_HANDLED(
      COUNTER,
      "grpc_server_handled_total",
      "Calls ended, whatever their result.",
      "grpc_type",
      "grpc_service",
      "grpc_method",
      "grpc_code"),
  GRPC_RECEIVED(
      COUNTER,
      "grpc_server_msg_received_total",
      "Messages received.",
      "grpc_type",
      "grpc_service",
      "grpc_method"),
  GRPC_SENT(
      COUNTER,
      "grpc_server_msg_sent_total",
      "Messages sent.",
      "grpc_type",
      "grpc_service",
      "grpc_method"),
  BUILD(GAUGE, "harikube_build_info", "1 for the label with HariKube's version.", "version"),
  BATCH(
      HISTOGRAM,
      "harikube_writer_batch_transactions",
      "Transactions in one commit.",
      Buckets.exponential(1, 11)),
  QUEUE_WAIT(
      HISTOGRAM,
      "harikube_writer_queue_wait_seconds",
      "How long transactions waited until the writer took them.",
      Buckets.exponential(0.0001, 17)),
  COMMIT(
      HISTOGRAM,
      "harikube_writer_commit_duration_seconds",
      "The writer's batches, as etcd_disk_backend_commit_duration_seconds, with finer buckets.",
      Buckets.exponential(0.0001, 17)),
  CHECKPOINT(
      HISTOGRAM,
      "harikube_sqlite_checkpoint_duration_seconds",
      "Checkpoints of SQLite's write-ahead log.",
      Buckets.exponential(0.001, 14)),
  WAL_BYTES(LEVEL, "harikube_sqlite_wal_bytes", "Bytes of SQLite's write-ahead log."),
  SLOW_STATEMENTS(
      COUNTER,
      "harikube_slow_statements_total",
      "Statements that took longer than --slow-sql-threshold."),
  RECONNECTS(
      COUNTER,
      "harikube_writer_reconnects_total",
      "How often the writer lost its connection to the database and made a new one."),
  CONNECTIONS(LEVEL, "harikube_connections_open", "Connections to the database for reading."),
  CONNECTIONS_BUSY(LEVEL, "harikube_connections_busy", "Connections that somebody reads with."),
  CONNECTIONS_AWAITED(LEVEL, "harikube_connections_awaited", "Reads that wait for a connection."),
  WATCH_PENDING_BYTES(
      LEVEL, "harikube_watch_pending_bytes", "Bytes of events in the queues of all streams."),
  WATCH_LAG(
      LEVEL,
      "harikube_watch_lag_revisions",
      "How many revisions have been committed, but not yet handed to the streams."),
  WATCH_LOG_READS(
      TOTAL,
      "harikube_watch_log_reads_total",
      "How often the log was read for watchers that have not caught up."),
  WATCH_DROPPED_COMMITS(
      TOTAL,
      "harikube_watch_dropped_commits_total",
      "Commits that watches read from the log, because memory held too much already."),
  GC_READY(
      LEVEL, "harikube_gc_ready", "Tasks of garbage collection that are to be done or are being."),
  GC_WAITING(
      LEVEL,
      "harikube_gc_waiting",
      "Tasks of garbage collection that wait: for dependents to go, or for a kind to be served."),
  GC_LOOKED_AT(
      TOTAL,
      "harikube_gc_looked_at_total",
      "Objects that garbage collection has looked at, each as often as it has."),
  GC_DELETED(
      TOTAL,
      "harikube_gc_deleted_total",
      "Objects that garbage collection has deleted, or marked as being deleted."),
  GC_FREED(
      TOTAL,
      "harikube_gc_freed_total",
      "Objects that have lost references to owners by garbage collection, and stay."),
  GC_RELEASED(
      TOTAL,
      "harikube_gc_released_total",
      "Owners whose deletion has ended because their dependents are dealt with."),
  GC_HANDED_OVER(
      TOTAL,
      "harikube_gc_handed_over_total",
      "Objects that garbage collection has left to kube-controller-manager."),
  GC_BLOCKED_BY_KIND(
      TOTAL,
      "harikube_gc_blocked_by_kind_total",
      "How often an object stayed because the kind of an owner is not served."),
  GC_BLOCKED_BY_SCOPE(
      TOTAL,
      "harikube_gc_blocked_by_scope_total",
      "How often an object without a namespace stayed because an owner would be in one."),
  GC_UNREADABLE(
      TOTAL,
      "harikube_gc_unreadable_total",
      "How often an object stayed because it cannot be read, or edited."),
  GC_ERRORS(TOTAL, "harikube_gc_errors_total", "Tasks of garbage collection that are done again."),
  ANSWERS_USED(LEVEL, "harikube_answers_memory_used_bytes", "Bytes that answers in flight hold."),
  ANSWERS_CAPACITY(
      LEVEL, "harikube_answers_memory_capacity_bytes", "Bytes that answers in flight may hold."),
  ANSWERS_WAITING(
      LEVEL, "harikube_answers_waiting", "Answers that wait for memory of other answers.");

  /** How a metric gets its value. */
  enum Kind {
    /** Counts up. */
    COUNTER,
    /** Is set. */
    GAUGE,
    /** Is read when somebody looks. */
    LEVEL,
    /** Counts up elsewhere, and is read when somebody looks. */
    TOTAL,
    /** Takes observations into buckets. */
    HISTOGRAM
  }

  final Kind kind;
  final String fullName;
  final String help;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  final List<String> labels;

  @SuppressWarnings("ImmutableEnumChecker") // nobody writes to it
  final double[] buckets;

  Metric(Kind kind, String fullName, String help, String... labels) {
    this(kind, fullName, help, new double[0], labels);
  }

  Metric(Kind kind, String fullName, String help, double[] buckets, String... labels) {
    this.kind = kind;
    this.fullName = fullName;
    this.help = help;
    this.buckets = buckets;
    this.labels = List.of(labels);
  }

  /** The name under which Prometheus knows it. */
  public String fullName() {
    return fullName;
  }

  /** What it says. */
  public String help() {
    return help;
  }

  public List<String> labels() {
    return labels;
  }

  /** Its type for Prometheus. */
  public String type() {
    return switch (kind) {
      case COUNTER, TOTAL -> "counter";
      case GAUGE, LEVEL -> "gauge";
      case HISTOGRAM -> "histogram";
    };
  }

  private static final class Buckets {
    private Buckets() {}

    /** etcd's: {@code count} upper bounds, each twice the one before. */
    static double[] exponential(double first, int count) {
      double[] bounds = new double[count];
      for (int i = 0; i < count; i++) {
        bounds[i] = first * (1L << i);
      }
      return bounds;
    }
  }
}
