package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.LockRequest;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Store;
import io.harikube.testing.Await;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** Clients that mean harm, or are broken: they hold up themselves, and leave nothing behind. */
@Timeout(120)
final class HostileClientTest {
  private static final int MIB = 1 << 20;
  private static final String PUT = "etcdserverpb.KV/Put";
  private static final String WATCH = "etcdserverpb.Watch/Watch";

  /** Bytes instead of requests. */
  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
          return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
          throw new UnsupportedOperationException();
        }
      };

  private final MemoryBudget budget = new MemoryBudget(32 * MIB, 8 * MIB);
  private final List<ManagedChannel> channels = new ArrayList<>();
  private @TempDir Path dir;
  private Store store;
  private WatchHub hub;
  private EtcdServer server;
  private ManagedChannel good;

  @BeforeEach
  void open() throws Exception {
    store = TestStore.open(dir);
    hub = new WatchHub(store.log(), WatchOptions.defaults());
    server = start(limits(Duration.ofMinutes(10)));
    good = channel();
  }

  /** Serves with other limits from here on. */
  private void serve(Limits limits) throws Exception {
    good.shutdownNow();
    server.close();
    server = start(limits);
    good = channel();
  }

  private EtcdServer start(Limits limits) throws Exception {
    EtcdServer started =
        EtcdServer.builder(store, hub::open)
            .budget(budget)
            .limits(limits)
            .listen("127.0.0.1:0")
            .grace(Duration.ofMillis(100))
            .build();
    started.start();
    return started;
  }

  private static Limits limits(Duration patience) {
    return new Limits(1_000, 5_000, 300, 32 * MIB, 100, 100, 8 * MIB, patience);
  }

  @AfterEach
  void close() {
    channels.forEach(ManagedChannel::shutdownNow);
    server.close();
    hub.close();
    store.close();
    assertThat(budget.used()).isZero();
  }

  private ManagedChannel channel() {
    ManagedChannel channel = io.harikube.etcd.Connection.channel(server.port());
    channels.add(channel);
    return channel;
  }

  private void put(String key, int size) {
    ClientCalls.blockingUnaryCall(
        good,
        EtcdApi.PUT,
        CallOptions.DEFAULT,
        PutRequest.newBuilder()
            .setKey(ByteString.copyFromUtf8(key))
            .setValue(ByteString.copyFrom(new byte[size]))
            .build());
  }

  private RangeResponse get(String key) {
    return ClientCalls.blockingUnaryCall(
        good,
        EtcdApi.RANGE,
        CallOptions.DEFAULT.withDeadlineAfter(5, TimeUnit.SECONDS),
        RangeRequest.newBuilder().setKey(ByteString.copyFromUtf8(key)).build());
  }

  private static RangeRequest everything() {
    return TestServer.all().build();
  }

  private List<Reader<RangeRequest, RangeResponse>> unread(int clients) {
    List<Reader<RangeRequest, RangeResponse>> readers = new ArrayList<>();
    for (int i = 0; i < clients; i++) {
      var reader = new Reader<>(channel(), EtcdApi.RANGE);
      reader.send(everything());
      reader.halfClose();
      readers.add(reader);
    }
    return readers;
  }

  @Test
  void smallAnswersDoNotWaitForLargeOnesThatNobodyReads() throws Exception {
    for (int i = 0; i < 16; i++) {
      put("big/" + i, MIB);
    }
    put("small", 100);
    var readers = unread(8);
    Await.until("answers that wait for each other", () -> budget.waiting() == 7);

    assertThat(get("small").getKvsCount()).isEqualTo(1);
    // As kube-apiserver updates.
    var update =
        TxnRequest.newBuilder()
            .addCompare(
                io.harikube.etcd.proto.Compare.newBuilder()
                    .setKey(ByteString.copyFromUtf8("small"))
                    .setTarget(io.harikube.etcd.proto.Compare.CompareTarget.MOD)
                    .setModRevision(1))
            .addFailure(
                RequestOp.newBuilder()
                    .setRequestRange(
                        RangeRequest.newBuilder().setKey(ByteString.copyFromUtf8("small"))))
            .build();
    assertThat(
            ClientCalls.blockingUnaryCall(good, EtcdApi.TXN, CallOptions.DEFAULT, update)
                .getResponses(0)
                .getResponseRange()
                .getKvsCount())
        .isEqualTo(1);

    readers.forEach(Reader::cancel);
    Await.until("all gone", () -> budget.waiting() == 0 && budget.used() == 0);
  }

  @Test
  void whoDoesNotReadLosesHisAnswerToThoseWhoDo() throws Exception {
    serve(limits(Duration.ofSeconds(6)));
    for (int i = 0; i < 16; i++) {
      put("big/" + i, MIB);
    }
    var readers = unread(3);
    Await.until("answers that wait for each other", () -> budget.waiting() == 2);
    assertThat(
            ClientCalls.blockingUnaryCall(good, EtcdApi.RANGE, CallOptions.DEFAULT, everything())
                .getKvsCount())
        .isEqualTo(16);
    Await.until("memory back", () -> budget.used() == 0);
    for (var reader : readers) {
      assertThat(reader.end().isOk()).isFalse();
    }
  }

  @Test
  void whoReadsSlowlyGetsHisAnswer() throws Exception {
    serve(limits(Duration.ofSeconds(2)));
    for (int i = 0; i < 4; i++) {
      put("big/" + i, MIB);
    }
    try (var slow = new RawClient(server.port())) {
      int stream = slow.call("etcdserverpb.KV/Range");
      byte[] request = everything().toByteArray();
      slow.message(stream, request);
      slow.end(stream);
      slow.window(0, 100 * MIB);
      long begin = System.nanoTime();
      // The windows are opened bit by bit, over more than the patience.
      while (System.nanoTime() - begin < TimeUnit.SECONDS.toNanos(6)) {
        slow.window(stream, 64 << 10);
        long next = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(300);
        Await.until("a while", () -> System.nanoTime() > next);
      }
      assertThat(slow.ended()).isZero();
      assertThat(budget.used()).isPositive();
      Await.until("given up", () -> slow.ended() == 1);
      Await.until("memory back", () -> budget.used() == 0);
    }
  }

  @Test
  void requestsThatWaitAreBoundedAndAnswered() throws Exception {
    try (Connection holder = DriverManager.getConnection("jdbc:sqlite:" + dir.resolve("store.db"));
        Statement lock = holder.createStatement()) {
      lock.execute("BEGIN IMMEDIATE");
      ManagedChannel bad = channel();
      List<com.google.common.util.concurrent.ListenableFuture<?>> puts = new ArrayList<>();
      for (int i = 0; i < 900; i++) {
        puts.add(
            ClientCalls.futureUnaryCall(
                bad.newCall(EtcdApi.PUT, CallOptions.DEFAULT),
                TestServer.putRequest("k" + i, "v").build()));
      }
      Await.until(
          "all but those that may wait are refused",
          () -> puts.stream().filter(put -> put.isDone()).count() == 600);
      var put =
          ClientCalls.futureUnaryCall(
              good.newCall(EtcdApi.PUT, CallOptions.DEFAULT),
              TestServer.putRequest("good", "v").build());
      lock.execute("ROLLBACK");
      assertThat(put.get(20, TimeUnit.SECONDS).getHeader().getRevision()).isPositive();
      int refused = 0;
      for (var future : puts) {
        try {
          future.get(20, TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException e) {
          assertThat(e.getCause()).hasMessage("RESOURCE_EXHAUSTED: etcdserver: too many requests");
          refused++;
        }
      }
      assertThat(refused).isEqualTo(600);
    }
    put("after", 1);
  }

  @Test
  void callsThatWaitForOthersKeepNoRequestFromBeingRun() throws Exception {
    ManagedChannel waiting = channel();
    List<Reader<LockRequest, ?>> locks = new ArrayList<>();
    for (int i = 0; i < 150; i++) {
      var lock = new Reader<>(waiting, EtcdApi.LOCK);
      lock.send(LockRequest.newBuilder().setName(ByteString.copyFromUtf8("l")).build());
      lock.halfClose();
      locks.add(lock);
    }
    Await.until("one holder, the others wait", () -> hub.streams() == 149);
    assertThat(
            ClientCalls.blockingUnaryCall(waiting, EtcdApi.RANGE, CallOptions.DEFAULT, everything())
                .getKvsCount())
        .isEqualTo(150);
    locks.forEach(Reader::cancel);
    Await.until("no watch left", () -> hub.streams() == 0);
  }

  @Test
  void aWatchStreamWithNonsenseLeavesNothing() throws Exception {
    var create =
        WatchRequest.newBuilder()
            .setCreateRequest(WatchCreateRequest.newBuilder().setKey(ByteString.copyFromUtf8("a")))
            .build();
    var nonsense =
        new Reader<>(
            good,
            EtcdApi.WATCH_STREAM.toBuilder(BYTES, EtcdApi.WATCH_STREAM.getResponseMarshaller())
                .build());
    nonsense.send(create.toByteArray());
    assertThat(nonsense.next().getCreated()).isTrue();
    assertThat(hub.watchers()).isEqualTo(1);
    nonsense.send(new byte[] {1, 2, 3});
    Status status = nonsense.end();
    assertThat(status.getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(status.getDescription()).startsWith("grpc: error unmarshalling request: ");
    Await.until("no watch left", () -> hub.watchers() == 0 && hub.streams() == 0);
  }

  private interface Work {
    void run() throws Exception;
  }

  /** What is logged meanwhile. */
  private static List<ILoggingEvent> logged(Work work) throws Exception {
    var lines = new ListAppender<ILoggingEvent>();
    lines.start();
    Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.addAppender(lines);
    try {
      work.run();
    } finally {
      root.detachAppender(lines);
    }
    return lines.list;
  }

  @Test
  void nonsenseIsRefusedWithoutAWord() throws Exception {
    var method = EtcdApi.PUT.toBuilder(BYTES, EtcdApi.PUT.getResponseMarshaller()).build();
    List<ILoggingEvent> lines =
        logged(
            () -> {
              for (int i = 0; i < 100; i++) {
                assertThatThrownBy(
                        () ->
                            ClientCalls.blockingUnaryCall(
                                good, method, CallOptions.DEFAULT, new byte[] {1, 2, 3}))
                    .isInstanceOf(StatusRuntimeException.class)
                    .hasMessageStartingWith("INTERNAL: grpc: error unmarshalling request: ");
              }
            });
    assertThat(lines).hasSizeLessThanOrEqualTo(1);
    assertThat(lines).allMatch(line -> line.getThrowableProxy() == null);
  }

  /** As those who look whether a port is open do; what it threw kept each of them for ever. */
  @Test
  void whoConnectsAndLeavesIsForgotten() throws Exception {
    List<ILoggingEvent> lines =
        logged(
            () -> {
              for (int i = 0; i < 200; i++) {
                try (var socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
                  socket.setSoLinger(true, 0);
                }
              }
              try (var socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
                socket.getOutputStream().write(new byte[100]);
                assertThat(socket.getInputStream().readAllBytes()).isNotNull();
              } catch (SocketException _) {
                // It was reset.
              }
            });
    assertThat(lines).isEmpty();
  }

  @Test
  void aWatchClientThatOnlySendsIsNotHeardForever() throws Exception {
    var client = new Reader<WatchRequest, WatchResponse>(channel(), EtcdApi.WATCH_STREAM);
    var create =
        WatchRequest.newBuilder()
            .setCreateRequest(
                WatchCreateRequest.newBuilder()
                    .setKey(ByteString.copyFromUtf8("a"))
                    .setStartRevision(-1))
            .build();
    for (int i = 0; i < 200_000; i++) {
      client.send(create);
    }
    // What is sent later is taken later: there are answers for what fits into the windows.
    get("nothing");
    assertThat(hub.pendingBytes()).isLessThan(MIB);
    var watch = new Reader<>(good, EtcdApi.WATCH_STREAM);
    watch.send(
        WatchRequest.newBuilder()
            .setCreateRequest(WatchCreateRequest.newBuilder().setKey(ByteString.copyFromUtf8("a")))
            .build());
    assertThat(watch.next().getCreated()).isTrue();
    client.cancel();
    watch.cancel();
    Await.until("nothing is left", () -> hub.pendingBytes() == 0 && hub.streams() == 0);
  }

  @Test
  void whatAWatchClientIsSentCountsUntilItIsTaken() throws Exception {
    for (int i = 0; i < 8; i++) {
      put("a", MIB);
    }
    var client = new Reader<>(channel(), EtcdApi.WATCH_STREAM);
    client.send(
        WatchRequest.newBuilder()
            .setCreateRequest(
                WatchCreateRequest.newBuilder()
                    .setKey(ByteString.copyFromUtf8("a"))
                    .setStartRevision(2))
            .build());
    Await.until("the past has been read", () -> hub.pendingBytes() > 8 * MIB);
    int events = 0;
    while (events < 8) {
      WatchResponse response = client.next();
      events += response.getEventsCount();
      assertThat(response.getSerializedSize()).isLessThan(13 * MIB);
    }
    Await.until("all is taken", () -> hub.pendingBytes() == 0);
  }

  @Test
  void aWatchClientThatTakesNothingIsGivenUpAndAnIdleOneIsNot() throws Exception {
    serve(limits(Duration.ofSeconds(2)));
    var idle = new Reader<>(good, EtcdApi.WATCH_STREAM);
    var create =
        WatchRequest.newBuilder()
            .setCreateRequest(WatchCreateRequest.newBuilder().setKey(ByteString.copyFromUtf8("a")))
            .build();
    idle.send(create);
    assertThat(idle.next().getCreated()).isTrue();
    var stopped = new Reader<>(channel(), EtcdApi.WATCH_STREAM);
    stopped.send(create);
    assertThat(stopped.next().getCreated()).isTrue();
    put("b", 1);
    for (int i = 0; i < 3; i++) {
      put("a", MIB);
      assertThat(idle.next().getEventsCount()).isEqualTo(1);
    }
    Await.until("the stopped one has gone", () -> hub.streams() == 1);
    assertThat(stopped.end().isOk()).isFalse();
    put("a", 1);
    assertThat(idle.next().getEventsCount()).isEqualTo(1);
    Await.until("all is taken", () -> hub.pendingBytes() == 0);
  }

  @Test
  void messagesThatStopHalfWayAreGivenUpWhenTheyAreTooManyBytes() throws Exception {
    try (var bad = new RawClient(server.port());
        var alsoBad = new RawClient(server.port())) {
      for (int i = 0; i < 20; i++) {
        bad.message(bad.call(PUT), MIB, MIB - 10);
        alsoBad.message(alsoBad.call(PUT), MIB, MIB - 10);
      }
      put("good", MIB);
      Await.until("most are broken off", () -> bad.ended() + alsoBad.ended() >= 30);
      assertThat(bad.isGoneAway() || alsoBad.isGoneAway()).isFalse();
      put("good", MIB);
    }
  }

  @Test
  void aMessageThatStopsHalfWayIsGivenUpAfterAWhile() throws Exception {
    serve(limits(Duration.ofSeconds(2)));
    try (var bad = new RawClient(server.port())) {
      bad.call(PUT);
      bad.message(bad.call(PUT), MIB, 10);
      bad.message(bad.call(WATCH), MIB, 10);
      bad.call(WATCH);
      Await.until("three are broken off", () -> bad.ended() == 3);
      assertThat(bad.isGoneAway()).isFalse();
      assertThat(hub.streams()).isEqualTo(1);
    }
    Await.until("no stream left", () -> hub.streams() == 0);
  }

  @Test
  void aBurstOfLargePutsLeavesTheConnectionWhole() throws Exception {
    ManagedChannel client = channel();
    var value = ByteString.copyFrom(new byte[MIB]);
    List<com.google.common.util.concurrent.ListenableFuture<?>> puts = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      puts.add(
          ClientCalls.futureUnaryCall(
              client.newCall(EtcdApi.PUT, CallOptions.DEFAULT),
              PutRequest.newBuilder()
                  .setKey(ByteString.copyFromUtf8("k" + i))
                  .setValue(value)
                  .build()));
    }
    int done = 0;
    for (var future : puts) {
      try {
        future.get(60, TimeUnit.SECONDS);
        done++;
      } catch (java.util.concurrent.ExecutionException e) {
        assertThat(Status.fromThrowable(e.getCause()).getCode())
            .isEqualTo(Status.Code.RESOURCE_EXHAUSTED);
      }
    }
    assertThat(done).isPositive();
    put("good", MIB);
  }

  @Test
  void whoResetsAllHisCallsLosesHisConnection() throws Exception {
    try (var bad = new RawClient(server.port())) {
      for (int i = 0; i < 10_000 && !bad.isGoneAway(); i++) {
        try {
          bad.reset(bad.call(PUT));
        } catch (java.io.IOException e) {
          break;
        }
      }
      Await.until("the connection is closed", bad::isGoneAway);
    }
    put("good", 1);
  }
}
