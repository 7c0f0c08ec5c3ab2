package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.EventLog;
import io.harikube.store.Identity;
import io.harikube.store.KeyRange;
import io.harikube.store.Lease;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Status;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.TaskRules;
import io.harikube.store.Tasks;
import io.harikube.store.Txn;
import java.io.IOException;
import java.security.SecureRandom;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A store in a relational database. */
public final class SqlStore implements Store {
  private final Dialect dialect;
  private final Writer writer;
  private final SqlFailures failures;
  private final RangeReader ranges;
  private final TxnReader transactions;
  private final Compactor compactor;
  private final Leases leases;
  private final SqlLog log;
  private final Hashes hashes;
  private final Snapshots snapshots;
  private final AttributeReader reader;
  private final AttributeIndex attributes;
  private final Identity identity;
  private final SqlTasks tasks;
  private final StoreMetrics metrics;

  private SqlStore(
      Dialect dialect,
      Session session,
      long writerId,
      Meta meta,
      SqlOptions options,
      InstantSource clock,
      StoreMetrics metrics,
      AttributeReader reader,
      TaskRules rules) {
    this.metrics = metrics;
    this.reader = reader;
    this.dialect = dialect;
    this.identity = new Identity(meta.clusterId(), meta.memberId(), meta.epoch());
    PrefixCounts prefixes = new PrefixCounts(meta.revision());
    this.writer =
        new Writer(dialect, session, writerId, meta, options, metrics, reader, rules, prefixes);
    dialect.floor(writer::meta);
    this.failures = new SqlFailures(dialect);
    Pins pins = new Pins(writer::published);
    this.attributes = new AttributeIndex(dialect, writer, reader);
    this.ranges = new RangeReader(dialect, pins, attributes, prefixes);
    this.transactions =
        new TxnReader(
            dialect, metrics, () -> writer.meta().epoch(), Math.max(1, options.readers() / 2));
    this.compactor = new Compactor(dialect, writer, pins, options, meta, metrics);
    this.leases = new Leases(dialect, writer, clock, options.minLeaseTtl());
    this.log = new SqlLog(dialect, writer, failures);
    this.hashes = new Hashes(dialect, pins);
    this.snapshots = new Snapshots(dialect, pins, failures);
    this.tasks = new SqlTasks(dialect, writer, failures);
  }

  /**
   * Opens the store, makes its schema if the database is empty, and migrates an older one.
   *
   * @throws OpenException in one sentence, why it cannot be opened; nothing has been changed then
   */
  public static Store open(SqlOptions options, InstantSource clock) throws OpenException {
    return open(options, clock, StoreMetrics.NONE, AttributeReader.NONE, TaskRules.NONE);
  }

  /**
   * The same, with somebody who measures.
   *
   * @param reader knows the attributes of values, for ranges with filters
   * @param rules say which tasks changes make necessary
   */
  public static Store open(
      SqlOptions options,
      InstantSource clock,
      StoreMetrics metrics,
      AttributeReader reader,
      TaskRules rules)
      throws OpenException {
    return open(dialect(options, metrics), options, clock, metrics, reader, rules);
  }

  /** The same without tasks. */
  public static Store open(
      SqlOptions options, InstantSource clock, StoreMetrics metrics, AttributeReader reader)
      throws OpenException {
    return open(options, clock, metrics, reader, TaskRules.NONE);
  }

  static Store open(
      Dialect dialect,
      SqlOptions options,
      InstantSource clock,
      StoreMetrics metrics,
      AttributeReader reader,
      TaskRules rules)
      throws OpenException {
    try {
      dialect.prepare();
      Session session = dialect.connectWriter();
      long writerId = new SecureRandom().nextLong();
      Meta meta = Takeover.run(dialect, session, writerId, options);
      SqlStore store =
          new SqlStore(dialect, session, writerId, meta, options, clock, metrics, reader, rules);
      store.writer.onJump(store::jumped);
      store.writer.start();
      store.compactor.start();
      store.leases.start();
      store.attributes.start(meta);
      return store;
    } catch (OpenException e) {
      dialect.close();
      throw e;
    } catch (SQLException e) {
      dialect.close();
      throw OpenException.of(
          "cannot open the database " + name(options.endpoint()) + ": " + e.getMessage(), e);
    }
  }

  /** Forgets what is remembered of a database that has turned out to be another. */
  private void jumped(Meta meta) {
    leases.look();
    attributes.reload(meta);
    var _ = compactor.request(meta.compacted());
  }

  private <T> T timed(StoreMetrics.Time what, Supplier<T> work) {
    long begin = System.nanoTime();
    T result = work.get();
    metrics.time(what, System.nanoTime() - begin);
    return result;
  }

  static Dialect dialect(SqlOptions options, StoreMetrics metrics) {
    return switch (options.endpoint()) {
      case Endpoint.Sqlite _ -> new SqliteDialect(options, metrics);
      case Endpoint.Postgres _ -> new PostgresDialect(options, metrics);
    };
  }

  static String name(Endpoint endpoint) {
    return switch (endpoint) {
      case Endpoint.Sqlite(var file) -> file.toString();
      case Endpoint.Postgres postgres -> postgres.toString();
    };
  }

  @Override
  public Identity identity() {
    return identity;
  }

  @Override
  public long revision() {
    return writer.published();
  }

  @Override
  public EventLog log() {
    return log;
  }

  @Override
  public OpResult.Range range(RangeQuery query, MemoryBudget.Share budget) {
    metrics.count(StoreMetrics.Count.RANGES, 1);
    return timed(StoreMetrics.Time.RANGE, () -> failures.call(() -> ranges.range(query, budget)));
  }

  @Override
  public CompletableFuture<OpResult.@Nullable Range> get(
      RangeQuery query, MemoryBudget.Share budget) {
    long begin = System.nanoTime();
    return failures
        .told(ranges.get(query, budget))
        .thenApply(
            found -> {
              if (found != null) {
                metrics.count(StoreMetrics.Count.RANGES, 1);
                metrics.time(StoreMetrics.Time.RANGE, System.nanoTime() - begin);
              }
              return found;
            });
  }

  @Override
  public void stream(RangeQuery query, int partBytes, Consumer<OpResult.Range> parts) {
    failures.call(
        () -> {
          ranges.stream(query, Unlimited.share(), partBytes, parts);
          return true;
        });
  }

  @Override
  public CompletableFuture<OpResult.Txn> txn(Txn txn, MemoryBudget.Share budget) {
    Set<Bytes> keys = HashSet.newHashSet(2);
    TxnRunner.keys(txn, keys);
    long generation = reader.generation();
    Map<Txn.Put, Attributes> early = TxnRunner.attributes(txn, reader);
    return writer.submit(
        new Job<>(
            keys,
            TxnRunner.bytes(txn),
            batch -> {
              boolean same = reader.generation() == generation;
              Map<Txn.Put, Attributes> now = same ? early : TxnRunner.attributes(txn, reader);
              return TxnRunner.run(batch, txn, now, budget);
            }));
  }

  @Override
  public OpResult.Txn read(Txn txn, MemoryBudget.Share budget) {
    Set<Bytes> keys = HashSet.newHashSet(2);
    TxnRunner.keys(txn, keys);
    OpResult.Txn result = failures.call(() -> transactions.run(txn, keys, budget));
    return result == null ? SqlFailures.join(txn(txn, budget)) : result;
  }

  @Override
  public CompletableFuture<Long> compact(long revision, boolean physical) {
    CompletableFuture<Long> accepted =
        writer.submit(
            new Job<>(
                Set.of(),
                batch -> {
                  if (revision > batch.revision()) {
                    throw new StoreException(
                        Reason.FUTURE_REVISION,
                        "revision " + revision + " is above the current " + batch.revision());
                  }
                  if (revision <= batch.compacted()) {
                    throw new StoreException(
                        Reason.COMPACTED,
                        "revision " + revision + " has been compacted up to " + batch.compacted());
                  }
                  batch.setCompacted(revision);
                  return batch.revision();
                }));
    CompletableFuture<Long> done =
        accepted.thenCompose(current -> compactor.request(revision).thenApply(_ -> current));
    return physical ? done : accepted;
  }

  @Override
  public CompletableFuture<Lease> grant(long id, long ttl) {
    return leases.grant(id, ttl);
  }

  @Override
  public CompletableFuture<Long> revoke(long id) {
    return leases.revoke(id);
  }

  @Override
  public CompletableFuture<Lease> keepAlive(long id) {
    return leases.keepAlive(id);
  }

  @Override
  public @Nullable Lease lease(long id, boolean keys) {
    return failures.call(() -> leases.lease(id, keys));
  }

  @Override
  public List<Long> leases() {
    return failures.call(leases::ids);
  }

  @Override
  public CompletableFuture<Void> gather(KeyRange range, List<AttributeName> names) {
    return attributes.gather(range, names);
  }

  @Override
  public CompletableFuture<Void> forget(List<AttributeName> names) {
    return attributes.forget(names);
  }

  @Override
  public Set<AttributeName> gathered() {
    return attributes.ready();
  }

  @Override
  public Tasks tasks() {
    return tasks;
  }

  @Override
  public Status status() {
    return failures.call(
        () ->
            dialect
                .probes()
                .snapshot(
                    (session, meta) -> {
                      long[] size = dialect.size(session);
                      return new Status(
                          meta.revision(),
                          Math.max(0, meta.compacted()),
                          size[0],
                          size[1],
                          meta.commits());
                    }));
  }

  @Override
  public CompletableFuture<?> probe() {
    return writer.submit(
        new Job<>(
            Set.of(),
            batch -> {
              batch.markDirty();
              return true;
            }));
  }

  @Override
  public Hash hash(long revision) {
    return timed(StoreMetrics.Time.HASH, () -> failures.call(() -> hashes.hash(revision)));
  }

  @Override
  public void snapshot(SnapshotSink sink) throws IOException {
    long begin = System.nanoTime();
    snapshots.save(sink);
    metrics.time(StoreMetrics.Time.SNAPSHOT, System.nanoTime() - begin);
  }

  @Override
  public void defragment() {
    timed(StoreMetrics.Time.DEFRAGMENTATION, () -> SqlFailures.join(writer.defragment()));
  }

  @Override
  public CompletableFuture<String> ended() {
    return writer.ended();
  }

  @Override
  public void close() {
    failures.close();
    leases.close();
    attributes.close();
    compactor.close();
    writer.close();
    dialect.close();
  }
}
