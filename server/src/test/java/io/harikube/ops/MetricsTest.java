package io.harikube.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreMetrics.Count;
import io.harikube.store.StoreMetrics.Level;
import io.harikube.store.StoreMetrics.Time;
import io.prometheus.metrics.expositionformats.ExpositionFormats;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class MetricsTest {
  private final Metrics metrics = new Metrics();

  static List<String> lines(Metrics metrics) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      ExpositionFormats.init()
          .getPrometheusTextFormatWriter()
          .write(out, metrics.registry().scrape());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return out.toString(StandardCharsets.UTF_8).lines().toList();
  }

  private static double value(List<String> lines, String series) {
    return lines.stream()
        .filter(line -> line.startsWith(series + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(series.length() + 1)))
        .findFirst()
        .orElse(Double.NaN);
  }

  @Test
  void everyReportIsPublishedUnderTheNameOfItsMetric() {
    for (Count count : Count.values()) {
      metrics.count(count, 3);
    }
    for (Time time : Time.values()) {
      metrics.time(time, 1_500_000);
    }
    for (Level level : Level.values()) {
      metrics.level(level, () -> 5);
    }
    metrics.batch(32);
    List<String> lines = lines(metrics).stream().filter(line -> !line.startsWith("jvm_")).toList();

    assertThat(lines.stream().filter(line -> line.endsWith("_total 3.0")))
        .hasSize(Count.values().length);
    assertThat(lines.stream().filter(line -> line.matches("(etcd|harikube)_.* 5.0")))
        .hasSize(Level.values().length);
    assertThat(value(lines, "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"}"))
        .isEqualTo(0);
    assertThat(value(lines, "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"}"))
        .isEqualTo(1);
    assertThat(value(lines, "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"8.192\"}"))
        .isEqualTo(1);
    assertThat(value(lines, "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds_sum"))
        .isEqualTo(1.5);
    assertThat(value(lines, "harikube_writer_batch_transactions_bucket{le=\"32.0\"}")).isEqualTo(1);
    assertThat(value(lines, "harikube_writer_batch_transactions_bucket{le=\"16.0\"}")).isEqualTo(0);
  }

  @Test
  void namesAndTypesAreThoseOfTheList() {
    for (Metric metric : Metric.values()) {
      if (metric.kind == Metric.Kind.LEVEL || metric.kind == Metric.Kind.TOTAL) {
        metrics.level(metric, () -> 1);
      } else if (metric.kind == Metric.Kind.GAUGE) {
        metrics.gauge(metric, metric.labels.toArray(new String[0]));
      } else if (metric.kind == Metric.Kind.COUNTER) {
        metrics.counter(metric, metric.labels.toArray(new String[0]));
      }
    }
    List<String> types =
        lines(metrics).stream().filter(line -> line.startsWith("# TYPE ")).toList();
    assertThat(types)
        .containsAll(
            Arrays.stream(Metric.values())
                .map(metric -> "# TYPE " + metric.fullName + " " + metric.type())
                .toList());
    assertThat(types)
        .allMatch(
            line ->
                line.contains(" jvm_")
                    || line.contains(" process_")
                    || Arrays.stream(Metric.values())
                        .anyMatch(metric -> line.contains(" " + metric.fullName + " ")));
  }

  @Test
  void whatNobodySuppliesIsNotPublished() {
    assertThat(lines(metrics)).noneMatch(line -> line.startsWith("etcd_debugging_mvcc_keys_total"));
  }
}
