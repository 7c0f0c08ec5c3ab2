package io.harikube.cli;

import io.harikube.etcd.EtcdServer;
import io.harikube.gc.Collector;
import io.harikube.gc.Counts;
import io.harikube.gc.Rules;
import io.harikube.kubernetes.AdmissionHooks;
import io.harikube.kubernetes.Definitions;
import io.harikube.kubernetes.KubernetesSelectors;
import io.harikube.ops.Metric;
import io.harikube.ops.Metrics;
import io.harikube.store.Store;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.io.IOException;
import java.time.Duration;
import java.util.List;

/** The etcd API with its watches, in front of a store. */
final class EtcdFrontend implements Parts.Serving {
  private static final long GIB = 1L << 30;

  /** What the rest of the process needs of the heap, whatever its size. */
  private static final long REST = 128L << 20;

  private final WatchHub hub;
  private final EtcdServer server;
  private final Definitions definitions;
  private final AdmissionHooks hooks;
  private final Collector collector;
  private final Counts collected;

  private EtcdFrontend(
      WatchHub hub,
      EtcdServer server,
      Definitions definitions,
      AdmissionHooks hooks,
      Collector collector,
      Counts collected) {
    this.definitions = definitions;
    this.hooks = hooks;
    this.collector = collector;
    this.collected = collected;
    this.hub = hub;
    this.server = server;
  }

  static Parts.Serving serve(
      Store store, Parts.Settings settings, KubernetesSelectors selectors, Rules rules)
      throws IOException {
    WatchHub hub = new WatchHub(store.log(), watchOptions(settings.progressInterval()));
    EtcdServer server =
        EtcdServer.builder(store, hub::open)
            .budget(settings.budget())
            .clock(settings.clock())
            .selectors(selectors)
            .maxRequestBytes(settings.maxRequestBytes())
            .maxTxnOps(settings.maxTxnOps())
            .quotaBytes(settings.quotaBytes())
            .name(settings.name())
            .clientUrls(settings.clientUrls())
            .listen(settings.listen().text())
            .tls(settings.tls())
            .tracer(settings.grpc())
            .build();
    Definitions definitions = Definitions.follow(store, hub::open, selectors);
    AdmissionHooks hooks = AdmissionHooks.follow(store, hub::open, selectors.keys());
    Counts collected = new Counts();
    Collector collector =
        Collector.start(
            store,
            rules,
            selectors.keys(),
            selectors.kinds(),
            hooks::seeDeletionsOf,
            settings.clock(),
            settings.gc(),
            settings.gcAdopt(),
            collected);
    EtcdFrontend frontend = new EtcdFrontend(hub, server, definitions, hooks, collector, collected);
    settings.grpc().register(server.services());
    frontend.publish(settings.metrics());
    try {
      server.start();
      return frontend;
    } catch (IOException e) {
      frontend.close();
      throw e;
    }
  }

  /**
   * The limits of the watches are made for a heap of 1 GiB; a smaller heap gets smaller ones, so
   * that all limits together (these, those of answers, and those of requests) leave a third of it.
   */
  private static WatchOptions watchOptions(Duration progressInterval) {
    WatchOptions defaults = WatchOptions.defaults();
    double heap = Runtime.getRuntime().maxMemory();
    double scale = Math.clamp((heap - REST) / (GIB - REST), 1.0 / 16, 1);
    return new WatchOptions(
        (long) (defaults.inboxBytes() * scale),
        (long) (defaults.recentBytes() * scale),
        (long) (defaults.streamBytes() * scale),
        (long) (defaults.totalBytes() * scale),
        Math.max(defaults.messageBytes(), (int) (defaults.pageBytes() * scale)),
        defaults.messageBytes(),
        defaults.maxMessageBytes(),
        defaults.concurrentReads(),
        progressInterval);
  }

  private void publish(Metrics metrics) {
    metrics.level(
        Metric.WATCH_STREAMS,
        () -> Math.max(0, hub.streams() - definitions.streams() - hooks.streams()));
    metrics.level(
        Metric.WATCHERS,
        () -> Math.max(0, hub.watchers() - definitions.streams() - hooks.watches()));
    metrics.level(Metric.SLOW_WATCHERS, hub::slowWatchers);
    metrics.level(Metric.PENDING_EVENTS, hub::pendingEvents);
    metrics.level(Metric.EVENTS, hub::eventsSent);
    metrics.level(Metric.WATCH_PENDING_BYTES, hub::pendingBytes);
    metrics.level(Metric.WATCH_LAG, hub::lag);
    metrics.level(Metric.WATCH_LOG_READS, hub::logReads);
    metrics.level(Metric.WATCH_DROPPED_COMMITS, hub::droppedCommits);
    metrics.level(Metric.GC_LOOKED_AT, () -> collected.get(Counts.What.LOOKED_AT));
    metrics.level(Metric.GC_DELETED, () -> collected.get(Counts.What.DELETED));
    metrics.level(Metric.GC_FREED, () -> collected.get(Counts.What.FREED));
    metrics.level(Metric.GC_RELEASED, () -> collected.get(Counts.What.RELEASED));
    metrics.level(Metric.GC_HANDED_OVER, () -> collected.get(Counts.What.HANDED_OVER));
    metrics.level(Metric.GC_BLOCKED_BY_KIND, () -> collected.get(Counts.What.BLOCKED_BY_KIND));
    metrics.level(Metric.GC_BLOCKED_BY_SCOPE, () -> collected.get(Counts.What.BLOCKED_BY_SCOPE));
    metrics.level(Metric.GC_UNREADABLE, () -> collected.get(Counts.What.UNREADABLE));
    metrics.level(Metric.GC_ERRORS, () -> collected.get(Counts.What.ERRORS));
  }

  @Override
  public int port() {
    return server.port();
  }

  @Override
  public List<String> alarms() {
    return server.alarms();
  }

  @Override
  public void close() {
    server.close();
    collector.close();
    hooks.close();
    definitions.close();
    hub.close();
  }
}
