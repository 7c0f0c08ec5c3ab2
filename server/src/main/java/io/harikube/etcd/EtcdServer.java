package io.harikube.etcd;

import io.grpc.Server;
import io.grpc.ServerInterceptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServerStreamTracer;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.harikube.etcd.proto.AlarmType;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Selectors;
import io.harikube.store.Store;
import io.harikube.tls.RefusedClients;
import io.harikube.watch.WatchStream;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A server of the etcd v3 API. It owns its network threads and its streams; the store and the
 * watches belong to whoever made them, and are closed after it.
 *
 * <p>{@link #start} is called once; everything else from any thread.
 */
public final class EtcdServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(EtcdServer.class);

  /** What a message may have above the largest request. Source: etcd's grpcOverheadBytes. */
  private static final int MESSAGE_OVERHEAD = 512 << 10;

  // Clients of etcd may ping every 5 s; pings that come a little early must not count as too many.
  private static final Duration CLIENT_PING = Duration.ofSeconds(4);
  // A client whose machine is gone holds memory until a ping finds that out.
  private static final Duration SERVER_PING = Duration.ofSeconds(30);
  private static final Duration SERVER_PING_TIMEOUT = Duration.ofSeconds(20);
  // Fixed: probing for the best window costs a ping with every request. What a connection has sent
  // and nobody has asked for yet is held up to this, so it is what an idle attacker can cost.
  private static final int FLOW_CONTROL_WINDOW = 1 << 20;
  // All calls of a connection may be given up at once, and not much more.
  private static final int RESETS = 5_000;
  private static final int RESETS_SECONDS = 10;
  private static final int METADATA_BYTES = 64 << 10;
  // What a connection has sent is read so much at a time, and then the others have their turn:
  // thousands of requests fit into the 16 times 64 KiB that Netty would read.
  private static final int READ_BYTES = 16 << 10;

  private final ListenAddress address;
  private final Duration grace;
  private final EventLoopGroup acceptors;
  private final EventLoopGroup workers;
  private final HealthStatusManager health = new HealthStatusManager();
  private final Alarms alarms;
  private final WatchService watch;
  private final LeaseService lease;
  private final KeyQueue queue;
  private final Traffic traffic;
  private final Server server;
  private final AtomicBoolean closed = new AtomicBoolean();

  private EtcdServer(Builder options) {
    this.address = ListenAddress.parse(options.listen);
    this.grace = options.grace;
    this.acceptors = eventLoops("etcd-accept", 1);
    this.workers =
        new MultiThreadIoEventLoopGroup(
            Runtime.getRuntime().availableProcessors(),
            new DefaultThreadFactory("etcd-net", true),
            NioIoHandler.newFactory()) {
          private final RefusedClients refused = new RefusedClients();

          @Override
          public ChannelFuture register(Channel channel) {
            if (options.tls != null) {
              channel.pipeline().addFirst(refused);
            }
            return super.register(channel);
          }
        };

    Store store = options.store;
    var loops = new EventLoops(workers);
    this.traffic = new Traffic(options.limits, options.budget, loops);
    var calls = new Calls(traffic);
    var headers = new Headers(store);
    this.alarms = new Alarms();
    var check = new RequestCheck(options.maxRequestBytes, options.maxTxnOps);
    var quota = new Quota(store, alarms, options.quotaBytes);
    var kv = new KvService(store, headers, check, alarms, quota, options.selectors);
    this.watch = new WatchService(options.watches, headers, options.selectors);
    this.lease = new LeaseService(store, headers, check, alarms, quota, options.clock);
    this.queue = new KeyQueue(store, options.watches);
    var locks = new LockService(queue, headers, check, alarms, quota);
    var elections = new ElectionService(queue, headers, check, alarms, quota);
    var cluster =
        new ClusterService(store, headers, options.name, options.peerUrls, options.clientUrls);
    var maintenance = new MaintenanceService(store, headers, alarms, options.quotaBytes);

    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(address.address())
            .channelType(address.channel())
            .bossEventLoopGroup(acceptors)
            .workerEventLoopGroup(workers)
            // No handler blocks: see Calls.
            .directExecutor()
            .maxInboundMessageSize(options.maxRequestBytes + MESSAGE_OVERHEAD)
            .flowControlWindow(FLOW_CONTROL_WINDOW)
            .maxConcurrentCallsPerConnection(options.limits.callsPerConnection())
            .maxRstFramesPerWindow(RESETS, RESETS_SECONDS)
            .maxInboundMetadataSize(METADATA_BYTES)
            .withChildOption(
                ChannelOption.ALLOCATOR,
                new NetworkBuffers(Runtime.getRuntime().availableProcessors()))
            .withChildOption(
                ChannelOption.RECVBUF_ALLOCATOR,
                new AdaptiveRecvByteBufAllocator(64, 2 << 10, READ_BYTES).maxMessagesPerRead(1))
            .addTransportFilter(traffic)
            .addStreamTracerFactory(Inbound.FACTORY)
            .permitKeepAliveTime(CLIENT_PING.toMillis(), TimeUnit.MILLISECONDS)
            .permitKeepAliveWithoutCalls(true)
            .keepAliveTime(SERVER_PING.toMillis(), TimeUnit.MILLISECONDS)
            .keepAliveTimeout(SERVER_PING_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
            .addService(kv.bind(calls))
            .addService(watch.bind(calls))
            .addService(lease.bind(calls))
            .addService(cluster.bind(calls))
            .addService(maintenance.bind(calls))
            .addService(new AuthService(headers).bind(calls))
            .addService(locks.bind(calls))
            .addService(elections.bind(calls))
            .addService(health.getHealthService());
    if (address.socket() != null) {
      // grpc-java sets it on every connection; those of unix sockets do not know it, and say so.
      builder.withChildOption(ChannelOption.SO_KEEPALIVE, null);
    }
    options.interceptors.forEach(builder::intercept);
    options.tracers.forEach(builder::addStreamTracerFactory);
    if (options.tls != null) {
      builder.sslContext(options.tls);
    }
    this.server = builder.build();
  }

  private static EventLoopGroup eventLoops(String name, int threads) {
    return new MultiThreadIoEventLoopGroup(
        threads, new DefaultThreadFactory(name, true), NioIoHandler.newFactory());
  }

  /** Options of a server that serves {@code store}, and {@code watches} of it. */
  public static Builder builder(Store store, Supplier<WatchStream> watches) {
    return new Builder(store, watches);
  }

  /** Begins to serve. */
  public void start() throws IOException {
    address.removeSocket();
    server.start();
    var _ = workers.next().scheduleWithFixedDelay(traffic::sweep, 1, 1, TimeUnit.SECONDS);
    serving(true);
  }

  /** The port that the server listens on; -1 for a unix socket. */
  public int port() {
    return address.socket() == null ? server.getPort() : -1;
  }

  /** The services that clients find here. */
  public List<ServerServiceDefinition> services() {
    return server.getServices();
  }

  /** The names of the alarms that are set, as etcd's health check shows them. */
  public List<String> alarms() {
    return alarms.get(AlarmType.NONE).stream().map(one -> one.getAlarm().name()).toList();
  }

  /** What the gRPC health service says; it says yes from {@link #start} on. */
  public void serving(boolean yes) {
    health.setStatus("", yes ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  }

  /**
   * Takes no more calls, ends the streams, gives the calls in flight the time of grace, and closes
   * the connections.
   */
  @Override
  public void close() {
    if (closed.getAndSet(true)) {
      return;
    }
    health.enterTerminalState();
    server.shutdown();
    watch.stop();
    lease.stop();
    queue.stop();
    try {
      if (!server.awaitTermination(grace.toMillis(), TimeUnit.MILLISECONDS)) {
        log.warn("calls were still in flight after {} and are cut off", grace);
        server.shutdownNow();
        server.awaitTermination(1, TimeUnit.SECONDS);
      }
      watch.await(Duration.ofSeconds(1));
    } catch (InterruptedException e) {
      server.shutdownNow();
      Thread.currentThread().interrupt();
    }
    acceptors.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(1000);
    workers.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(1000);
    try {
      address.removeSocket();
    } catch (IOException e) {
      log.warn("the socket stays behind: {}", e.getMessage());
    }
  }

  /** The options of a server, each with a default. */
  public static final class Builder {
    private final Store store;
    private final Supplier<WatchStream> watches;
    private MemoryBudget budget = new MemoryBudget(Runtime.getRuntime().maxMemory() / 4);
    private InstantSource clock = InstantSource.system();
    private Selectors selectors = Selectors.NONE;
    private int maxRequestBytes = 3 << 19;
    private int maxTxnOps = 128;
    private Limits limits = Limits.ofHeap(Runtime.getRuntime().maxMemory());
    private long quotaBytes;
    private String name = "default";
    private List<String> peerUrls = List.of("http://localhost:2380");
    private List<String> clientUrls = List.of("http://localhost:2379");
    private String listen = "127.0.0.1:2379";
    private @Nullable SslContext tls;
    private Duration grace = Duration.ofSeconds(5);
    private final List<ServerInterceptor> interceptors = new ArrayList<>();
    private final List<ServerStreamTracer.Factory> tracers = new ArrayList<>();

    private Builder(Store store, Supplier<WatchStream> watches) {
      this.store = store;
      this.watches = watches;
    }

    /** What the answers in flight may take of the memory; a quarter of the heap. */
    public Builder budget(MemoryBudget value) {
      budget = value;
      return this;
    }

    /** What the selectors in ranges and watches mean; by default nothing. */
    public Builder selectors(Selectors value) {
      selectors = value;
      return this;
    }

    /** The clock by which the store expires leases. */
    public Builder clock(InstantSource value) {
      clock = value;
      return this;
    }

    /** The largest change in bytes; etcd's default of 1.5 MiB. */
    public Builder maxRequestBytes(int value) {
      maxRequestBytes = value;
      return this;
    }

    /** The operations of a transaction; etcd's default of 128. */
    public Builder maxTxnOps(int value) {
      maxTxnOps = value;
      return this;
    }

    /** What clients may have under way; limits that are right for the heap. */
    public Builder limits(Limits value) {
      limits = value;
      return this;
    }

    /** The size that the database may reach, in bytes; 0, there is no limit. */
    public Builder quotaBytes(long value) {
      quotaBytes = value;
      return this;
    }

    /** The name of the one member. */
    public Builder name(String value) {
      name = value;
      return this;
    }

    /** The URL that the member shows for peers. There are none, but clients expect one. */
    public Builder peerUrls(List<String> value) {
      peerUrls = List.copyOf(value);
      return this;
    }

    /** The URLs that clients can reach the server by, from where they are. */
    public Builder clientUrls(List<String> value) {
      clientUrls = List.copyOf(value);
      return this;
    }

    /**
     * Where to listen: {@code host:port} (port 0 is any free one), {@code unix:path}, or an
     * absolute path.
     */
    public Builder listen(String value) {
      listen = value;
      return this;
    }

    /** TLS, made with grpc-netty's GrpcSslContexts; null for none. */
    public Builder tls(@Nullable SslContext value) {
      tls = value;
      return this;
    }

    /** How long {@link EtcdServer#close} waits for calls in flight; 5 s. */
    public Builder grace(Duration value) {
      grace = value;
      return this;
    }

    /** Sees every call, on the event loop; the last one added sees it first. */
    public Builder interceptor(ServerInterceptor value) {
      interceptors.add(value);
      return this;
    }

    /** Is told of calls, messages and their sizes as they pass. */
    public Builder tracer(ServerStreamTracer.Factory value) {
      tracers.add(value);
      return this;
    }

    /**
     * The server, which does not listen yet.
     *
     * @throws IllegalArgumentException if the address to listen on is none
     */
    public EtcdServer build() {
      return new EtcdServer(this);
    }
  }
}
