package io.harikube.cli;

import io.harikube.ops.AutoCompactor;
import io.harikube.ops.GrpcMetrics;
import io.harikube.ops.Metrics;
import io.harikube.ops.OpsServer;
import io.harikube.ops.Version;
import io.harikube.sql.Admission;
import io.harikube.sql.Endpoint;
import io.harikube.sql.OpenException;
import io.harikube.sql.SqlOptions;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Store;
import io.harikube.tls.ExpiryWatch;
import io.harikube.tls.PemFiles;
import io.harikube.tls.TlsException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All parts of a server, in the order in which they depend on each other. Everything that can be
 * wrong outside of the database is looked at before the store is opened, since opening it changes
 * the database. What has been started before a failure is closed again.
 */
final class RunningServer implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RunningServer.class);

  private static final String STOPPED = "The server was stopped before it had started.";

  /** Between two attempts to reach the database. */
  private static final long RETRY_MILLIS = 500;

  /** Guarded by this. */
  private final Deque<AutoCloseable> started = new ArrayDeque<>();

  private final CountDownLatch stopping = new CountDownLatch(1);
  private final Metrics metrics = new Metrics();
  private final CompletableFuture<String> ended = new CompletableFuture<>();
  private int port = -1;
  private @Nullable InetSocketAddress opsAddress;

  /**
   * Starts the parts; called once. A {@link #close} that comes meanwhile, on another thread, ends
   * it.
   *
   * @throws StartException why it cannot be, like the other two
   */
  void start(ServerOptions options, Map<String, String> environment, Parts parts)
      throws StartException, OpenException, TlsException {
    try {
      open(options, environment, parts);
    } catch (StartException | OpenException | TlsException | RuntimeException e) {
      close();
      throw e;
    }
  }

  private void open(ServerOptions options, Map<String, String> environment, Parts parts)
      throws StartException, OpenException, TlsException {
    long begin = System.nanoTime();
    Address listen = Address.parse("--listen-address", options.listenAddress);
    Endpoint endpoint = options.datastore.endpoint(environment);
    PemFiles pem =
        PemFiles.read(options.serverCertFile, options.serverKeyFile, options.trustedCaFile);
    boolean tls = options.serverCertFile != null;
    if (!tls && (options.trustedCaFile != null || listen.needsTls())) {
      throw new StartException(
          (options.trustedCaFile != null ? "--trusted-ca-file" : "An https:// listen address")
              + " needs --server-cert-file and --server-key-file.");
    }
    OwnerFile owner =
        options.ownerFile == null
            ? null
            : OwnerFile.read(options.ownerFile, endpoint, options.acceptStore);
    OpsServer ops = bindOps(options, tls ? pem : null);
    ExpiryWatch expiry =
        new ExpiryWatch(
            pem,
            parts.clock(),
            Executors.newSingleThreadScheduledExecutor(
                Thread.ofPlatform().daemon().name("certificates").factory()));
    add(expiry);
    expiry.start();
    listen.claim();

    // A quarter is for small answers, which so never wait for large ones.
    MemoryBudget budget = new MemoryBudget(answerBytes(options), answerBytes(options) / 4);
    Admission admission = owner == null ? Admission.ANY : owner.admission();
    Store store = store(options, sqlOptions(options, endpoint, admission), parts);
    add(store);
    if (owner != null) {
      owner.opened(store);
      add(owner);
    }
    var _ = store.ended().thenAccept(ended::complete);
    metrics.observe(
        store,
        endpoint instanceof Endpoint.Sqlite sqlite ? sqlite.file() : null,
        options.quotaBackendBytes,
        budget);
    if (options.compactInterval.isPositive()) {
      AutoCompactor compactor =
          new AutoCompactor(
              store,
              options.compactMinRetain,
              options.compactTimeout,
              Executors.newSingleThreadScheduledExecutor(
                  Thread.ofPlatform().daemon().name("compactor").factory()));
      add(compactor);
      compactor.every(options.compactInterval);
    }
    Parts.Settings settings =
        new Parts.Settings(
            listen,
            tls ? pem.grpcServer() : null,
            budget,
            options.maxRequestBytes,
            options.maxTxnOps,
            options.quotaBackendBytes,
            options.name,
            clientUrls(options, listen, tls),
            options.progressInterval,
            new GrpcMetrics(metrics),
            metrics,
            parts.clock(),
            options.gc,
            options.gcAdopt);
    Parts.Serving serving;
    try {
      serving = parts.frontend().serve(store, settings);
    } catch (IOException e) {
      throw listen.refused(e);
    }
    add(serving);
    port = serving.port();
    if (ops != null) {
      ops.start(store, metrics, serving::alarms);
      opsAddress = ops.address();
    }
    LOG.info(
        "HariKube {} serves etcd {} on {}{}; {} at revision {}; {}; started in {} ms.",
        Version.HARIKUBE,
        Version.ETCD,
        listen.port() == 0 ? listen.text() + " (port " + port + ")" : listen.text(),
        !tls ? "" : options.trustedCaFile == null ? " with TLS" : " with TLS for known clients",
        endpoint,
        store.revision(),
        ops == null ? "no metrics" : "metrics and health on " + address(ops.address()),
        (System.nanoTime() - begin) / 1_000_000);
    if (options.trustedCaFile == null
        && listen.socket() instanceof InetSocketAddress tcp
        && !tcp.getAddress().isLoopbackAddress()) {
      LOG.warn(
          "Whoever reaches {} can read and write everything: clients need no certificate without"
              + " --trusted-ca-file.",
          listen.text());
    }
  }

  /** Opens the store, waiting for a database that is away. */
  private Store store(ServerOptions options, SqlOptions sql, Parts parts)
      throws StartException, OpenException {
    long begin = System.nanoTime();
    boolean said = false;
    while (true) {
      try {
        return parts.opener().open(sql, parts.clock(), metrics);
      } catch (OpenException e) {
        if (!e.isAway() || System.nanoTime() - begin >= options.startupTimeout.toNanos()) {
          throw e;
        }
        if (!said) {
          LOG.warn(
              "Waits up to {} s for the database: {}",
              options.startupTimeout.toSeconds(),
              Main.sentence(String.valueOf(e.getMessage())));
          said = true;
        }
        pause();
      }
    }
  }

  private void pause() throws StartException {
    boolean stopped;
    try {
      stopped = stopping.await(RETRY_MILLIS, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      stopped = true;
    }
    if (stopped) {
      throw new StartException(STOPPED);
    }
  }

  /** Binds the operators' port before anything else is done; closed last. */
  private @Nullable OpsServer bindOps(ServerOptions options, @Nullable PemFiles pem)
      throws StartException, TlsException {
    if (options.metricsBindAddress.equals("0")) {
      return null;
    }
    Address address = Address.parse("--metrics-bind-address", options.metricsBindAddress);
    if (!(address.socket() instanceof InetSocketAddress socket)) {
      throw new StartException("--metrics-bind-address has to be host:port, or 0 for none.");
    }
    boolean plain = pem == null || options.metricsIgnoreTlsConfig;
    try {
      OpsServer ops = OpsServer.bind(socket, plain || pem == null ? null : pem.context(null));
      add(ops);
      return ops;
    } catch (IOException e) {
      throw address.refused(e);
    }
  }

  private static SqlOptions sqlOptions(
      ServerOptions options, Endpoint endpoint, Admission admission) {
    SqlOptions defaults = SqlOptions.of(endpoint);
    int open = options.maxOpenConnections;
    return new SqlOptions(
        endpoint,
        open <= 0 ? defaults.readers() : Math.max(1, open - 1),
        defaults.batchOperations(),
        (int) Math.min(defaults.eventBytes(), Runtime.getRuntime().maxMemory() / 32),
        options.compactBatchSize,
        defaults.compactionReadDeadline(),
        defaults.walBytes(),
        options.slowSqlThreshold.isPositive()
            ? options.slowSqlThreshold
            : Duration.ofSeconds(Integer.MAX_VALUE),
        defaults.minLeaseTtl(),
        new SqlOptions.Pool(
            idle(options), options.connectionMaxIdleTime, options.connectionMaxLifetime),
        server(options),
        admission);
  }

  /** A number for this server, the same after a restart: of its host, its address and its name. */
  private static long server(ServerOptions options) {
    String host;
    try {
      host = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    } catch (IOException e) {
      host = "";
    }
    String text = host + '\n' + options.listenAddress + '\n' + options.name;
    CRC32C crc = new CRC32C();
    crc.update(text.getBytes(StandardCharsets.UTF_8));
    return 1 + crc.getValue();
  }

  /** As in kine, 0 is the default, and less than 0 is none. */
  private static int idle(ServerOptions options) {
    int idle = options.maxIdleConnections;
    return idle == 0 ? Integer.MAX_VALUE : Math.max(0, idle);
  }

  private static long answerBytes(ServerOptions options) {
    return options.maxAnswerBytes > 0
        ? options.maxAnswerBytes
        : Runtime.getRuntime().maxMemory() / 10 * 4;
  }

  private static List<String> clientUrls(ServerOptions options, Address listen, boolean tls) {
    if (options.advertiseClientUrls != null) {
      return List.of(options.advertiseClientUrls.split(",", -1));
    }
    String security = tls ? "s" : "";
    return List.of(
        listen.isUnix()
            ? "unix" + security + "://" + listen.text()
            : "http" + security + "://localhost:" + listen.port());
  }

  private static String address(InetSocketAddress address) {
    String host = address.getAddress().getHostAddress();
    return (host.contains(":") ? "[" + host + "]" : host) + ":" + address.getPort();
  }

  /** The port that etcd clients connect to; -1 for a unix socket. */
  int port() {
    return port;
  }

  /** Where metrics and health checks are served; null for nowhere. */
  @Nullable InetSocketAddress opsAddress() {
    return opsAddress;
  }

  /** Completed, with a sentence that says why, when this server can never serve again. */
  CompletableFuture<String> ended() {
    return ended;
  }

  private void add(AutoCloseable part) throws StartException {
    synchronized (this) {
      if (stopping.getCount() > 0) {
        started.push(part);
        return;
      }
    }
    close(part);
    throw new StartException(STOPPED);
  }

  private synchronized @Nullable AutoCloseable next() {
    stopping.countDown();
    return started.poll();
  }

  /** Closes all parts, the last one started first, whatever one of them says. */
  @Override
  public void close() {
    for (AutoCloseable part = next(); part != null; part = next()) {
      close(part);
    }
  }

  private static void close(AutoCloseable part) {
    try {
      part.close();
    } catch (Exception e) {
      LOG.warn("A part of the server could not be closed.", e);
    }
  }
}
