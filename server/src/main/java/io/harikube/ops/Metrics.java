package io.harikube.ops;

import static java.util.Objects.requireNonNull;

import io.harikube.log.RareLine;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.prometheus.metrics.core.datapoints.CounterDataPoint;
import io.prometheus.metrics.core.datapoints.DistributionDataPoint;
import io.prometheus.metrics.core.datapoints.GaugeDataPoint;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.instrumentation.jvm.JvmMetrics;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.DoubleConsumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * All {@link Metric}s, in a registry of their own. Safe for any thread; counting takes no lock.
 *
 * <p>A level that nobody has supplied is not published: no value is better than a false one.
 */
public final class Metrics implements StoreMetrics {
  private static final RareLine FAILED =
      new RareLine(
          LoggerFactory.getLogger(Metrics.class),
          org.slf4j.event.Level.WARN,
          Duration.ofMinutes(1),
          "The metric {} cannot be read.");

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final Map<Metric, Counter> counters = new EnumMap<>(Metric.class);
  private final Map<Metric, Gauge> gauges = new EnumMap<>(Metric.class);
  private final Map<Metric, Histogram> histograms = new EnumMap<>(Metric.class);
  private final Map<Metric, DoubleSupplier> levels = new ConcurrentHashMap<>();

  private volatile Runnable beforeScrape = () -> {};

  private final Map<Count, CounterDataPoint> counts = new EnumMap<>(Count.class);
  private final DistributionDataPoint batch;
  private final DistributionDataPoint wait;
  private final DistributionDataPoint range;
  private final DistributionDataPoint fsync;
  private final DistributionDataPoint commit;
  private final DistributionDataPoint commitFine;

  public Metrics() {
    for (Metric metric : Metric.values()) {
      register(metric);
    }
    JvmMetrics.builder().register(registry);
    for (Count count : Count.values()) {
      counts.put(count, counter(metric(count)));
    }
    batch = histogram(Metric.BATCH);
    wait = histogram(Metric.QUEUE_WAIT);
    range = histogram(Metric.RANGE);
    fsync = histogram(Metric.WAL_FSYNC);
    commit = histogram(Metric.BACKEND_COMMIT);
    commitFine = histogram(Metric.COMMIT);
    gauge(Metric.SERVER_VERSION, Version.ETCD).set(1);
    gauge(Metric.BUILD, Version.HARIKUBE).set(1);
  }

  private void register(Metric metric) {
    String[] labels = metric.labels.toArray(new String[0]);
    switch (metric.kind) {
      case COUNTER ->
          counters.put(
              metric,
              Counter.builder()
                  .name(metric.fullName)
                  .help(metric.help)
                  .labelNames(labels)
                  .register(registry));
      case GAUGE ->
          gauges.put(
              metric,
              Gauge.builder()
                  .name(metric.fullName)
                  .help(metric.help)
                  .labelNames(labels)
                  .register(registry));
      case HISTOGRAM ->
          histograms.put(
              metric,
              Histogram.builder()
                  .name(metric.fullName)
                  .help(metric.help)
                  .classicOnly()
                  .classicUpperBounds(metric.buckets)
                  .register(registry));
      case LEVEL ->
          GaugeWithCallback.builder()
              .name(metric.fullName)
              .help(metric.help)
              .callback(callback -> supply(metric, callback::call))
              .register(registry);
      case TOTAL ->
          CounterWithCallback.builder()
              .name(metric.fullName)
              .help(metric.help)
              .callback(callback -> supply(metric, callback::call))
              .register(registry);
    }
  }

  /** A level that fails is not published; the others are. */
  private void supply(Metric metric, DoubleConsumer callback) {
    DoubleSupplier level = levels.get(metric);
    if (level != null) {
      double value;
      try {
        value = level.getAsDouble();
      } catch (RuntimeException e) {
        FAILED.write(metric.fullName, e);
        return;
      }
      callback.accept(value);
    }
  }

  PrometheusRegistry registry() {
    return registry;
  }

  /** What {@code /metrics} publishes, as of now. */
  MetricSnapshots scrape() {
    beforeScrape.run();
    return registry.scrape();
  }

  /** Runs {@code action} before each scrape; it replaces an earlier one. */
  void beforeScrape(Runnable action) {
    beforeScrape = action;
  }

  /** The series of a counter with these label values. */
  CounterDataPoint counter(Metric metric, String... labels) {
    Counter counter = requireNonNull(counters.get(metric));
    return labels.length == 0 ? counter : counter.labelValues(labels);
  }

  /** The series of a gauge with these label values. */
  GaugeDataPoint gauge(Metric metric, String... labels) {
    Gauge gauge = requireNonNull(gauges.get(metric));
    return labels.length == 0 ? gauge : gauge.labelValues(labels);
  }

  DistributionDataPoint histogram(Metric metric) {
    return requireNonNull(histograms.get(metric));
  }

  /** From now on {@code metric}, a level or a total, is read here. */
  public void level(Metric metric, DoubleSupplier level) {
    levels.put(metric, level);
  }

  /**
   * Publishes the states of the store.
   *
   * @param file the database file; null if the database is not one
   * @param quotaBytes the size that the database may reach; 0 for no limit
   * @param budget what the answers in flight are counted against
   */
  public void observe(Store store, @Nullable Path file, long quotaBytes, MemoryBudget budget) {
    StoreGauges.register(this, store, file, quotaBytes, budget);
  }

  @Override
  public void count(Count what, long times) {
    requireNonNull(counts.get(what)).inc(times);
  }

  @Override
  public void batch(int transactions) {
    batch.observe(transactions);
  }

  @Override
  public void time(Time what, long nanos) {
    double seconds = nanos / 1e9;
    switch (what) {
      case BATCH -> {
        commit.observe(seconds);
        commitFine.observe(seconds);
      }
      case COMMIT -> fsync.observe(seconds);
      case QUEUE_WAIT -> wait.observe(seconds);
      case COMPACTION_STEP -> histogram(Metric.COMPACTION_PAUSE).observe(seconds * 1e3);
      case COMPACTION -> histogram(Metric.COMPACTION_TOTAL).observe(seconds * 1e3);
      case CHECKPOINT -> histogram(Metric.CHECKPOINT).observe(seconds);
      case RANGE -> range.observe(seconds);
      case HASH -> histogram(Metric.HASH).observe(seconds);
      case SNAPSHOT -> histogram(Metric.SNAPSHOT).observe(seconds);
      case DEFRAGMENTATION -> histogram(Metric.DEFRAGMENTATION).observe(seconds);
    }
  }

  @Override
  public void level(Level what, LongSupplier level) {
    level(metric(what), level::getAsLong);
  }

  private static Metric metric(Count count) {
    return switch (count) {
      case RANGES -> Metric.RANGES;
      case PUTS -> Metric.PUTS;
      case DELETES -> Metric.DELETES;
      case TXNS -> Metric.TXNS;
      case FAILED_TXNS -> Metric.PROPOSALS_FAILED;
      case LEASES_GRANTED -> Metric.LEASES_GRANTED;
      case LEASES_REVOKED -> Metric.LEASES_REVOKED;
      case LEASES_RENEWED -> Metric.LEASES_RENEWED;
      case LEASES_EXPIRED -> Metric.LEASES_EXPIRED;
      case COMPACTED_ROWS -> Metric.COMPACTED_ROWS;
      case SLOW_STATEMENTS -> Metric.SLOW_STATEMENTS;
      case RECONNECTS -> Metric.RECONNECTS;
    };
  }

  private static Metric metric(Level level) {
    return switch (level) {
      case QUEUE -> Metric.PROPOSALS_PENDING;
      case WAL_BYTES -> Metric.WAL_BYTES;
      case CONNECTIONS -> Metric.CONNECTIONS;
      case CONNECTIONS_BUSY -> Metric.CONNECTIONS_BUSY;
      case CONNECTIONS_AWAITED -> Metric.CONNECTIONS_AWAITED;
    };
  }
}
