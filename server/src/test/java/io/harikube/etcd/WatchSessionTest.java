package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.grpc.Status;
import io.harikube.etcd.proto.WatchCancelRequest;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.etcd.proto.WatchProgressRequest;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Identity;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Selectors;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchStream;
import io.netty.util.concurrent.DefaultEventExecutorGroup;
import io.netty.util.concurrent.EventExecutorGroup;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What passes between a client and a watch stream, whose messages the test writes. */
@Timeout(60)
final class WatchSessionTest {
  private static final Headers HEADERS = new Headers(() -> new Identity(1, 2, 3), () -> 9);

  private final Script script = new Script();
  private final EventExecutorGroup loop = new DefaultEventExecutorGroup(1);
  private final WatchService service = new WatchService(() -> script, HEADERS, Selectors.NONE);
  private Connection connection;
  private Reader<WatchRequest, WatchResponse> client;

  @BeforeEach
  void connect() throws Exception {
    connection = new Connection(service.bind(TestServer.calls(new MemoryBudget(1 << 20), loop)));
    client = new Reader<>(connection.channel(), EtcdApi.WATCH_STREAM);
  }

  @AfterEach
  void disconnect() {
    connection.close();
    var _ = loop.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }

  @Test
  void requestsAreForwardedInOrder() throws Exception {
    client.send(
        WatchRequest.newBuilder()
            .setCreateRequest(
                WatchCreateRequest.newBuilder()
                    .setKey(ByteString.copyFromUtf8("a"))
                    .setStartRevision(4))
            .build());
    client.send(WatchRequest.getDefaultInstance());
    client.send(
        WatchRequest.newBuilder()
            .setProgressRequest(WatchProgressRequest.getDefaultInstance())
            .build());
    client.send(
        WatchRequest.newBuilder()
            .setCancelRequest(WatchCancelRequest.newBuilder().setWatchId(7))
            .build());
    assertThat(script.nextRequest())
        .isEqualTo(
            new io.harikube.watch.WatchRequest(
                0, KeyRange.single(Bytes.of("a")), 4, false, false, false, false, false));
    assertThat(script.nextRequest()).isEqualTo("progress");
    assertThat(script.nextRequest()).isEqualTo(7L);
  }

  @Test
  void messagesAsEtcdShowsThem() throws Exception {
    var kv = new KeyValue(Bytes.of("a"), 5, 5, 1, Bytes.of("v"), 0);
    script.say(new WatchMessage.Created(3, 4));
    script.say(
        new WatchMessage.Events(
            3,
            6,
            List.of(new Event(kv, null), new Event(KeyValue.deleted(kv.key(), 6), kv)),
            true));
    script.say(new WatchMessage.Progress(-1, 8));
    script.say(new WatchMessage.Canceled(3, 9, false, 7, ""));
    script.say(new WatchMessage.Canceled(-1, 9, true, 0, "why"));

    WatchResponse created = client.next();
    assertThat(created.getCreated()).isTrue();
    assertThat(created.getWatchId()).isEqualTo(3);
    assertThat(created.getHeader().getRevision()).isEqualTo(4);
    assertThat(created.getHeader().getMemberId()).isEqualTo(2);
    WatchResponse events = client.next();
    assertThat(events.getEventsCount()).isEqualTo(2);
    assertThat(events.getFragment()).isTrue();
    assertThat(events.getCreated()).isFalse();
    WatchResponse progress = client.next();
    assertThat(progress.getWatchId()).isEqualTo(-1);
    assertThat(progress.getHeader().getRevision()).isEqualTo(8);
    assertThat(progress.getEventsCount()).isZero();
    WatchResponse compacted = client.next();
    assertThat(compacted.getCanceled()).isTrue();
    assertThat(compacted.getCompactRevision()).isEqualTo(7);
    assertThat(compacted.getHeader().getRevision()).isZero();
    assertThat(compacted.getCancelReason()).isEmpty();
    WatchResponse refused = client.next();
    assertThat(refused.getCreated()).isTrue();
    assertThat(refused.getCanceled()).isTrue();
    assertThat(refused.getCancelReason()).isEqualTo("why");
  }

  @Test
  void aClientThatDoesNotReadHoldsUpTheStream() throws Exception {
    var kv = new KeyValue(Bytes.of("a"), 5, 5, 1, Bytes.of(new byte[32 << 10]), 0);
    for (int i = 0; i < 100; i++) {
      script.say(new WatchMessage.Events(3, 6, List.of(new Event(kv, null)), false));
    }
    for (int read = 1; read <= 100; read++) {
      client.next();
      // What is on its way: a window of 64 KiB at the client, and as much at the server.
      assertThat(script.taken.get() - read).isLessThan(10);
    }
  }

  @Test
  void theStreamIsClosedWhenTheClientGoes() throws Exception {
    client.send(
        WatchRequest.newBuilder()
            .setProgressRequest(WatchProgressRequest.getDefaultInstance())
            .build());
    assertThat(script.nextRequest()).isEqualTo("progress");
    client.cancel();
    assertThat(script.closed.await(20, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void watchesGoOnAfterTheLastRequest() throws Exception {
    client.halfClose();
    script.say(new WatchMessage.Progress(-1, 8));
    assertThat(client.next().getHeader().getRevision()).isEqualTo(8);
    assertThat(script.closed.getCount()).isEqualTo(1);
  }

  @Test
  void stoppingTellsTheClientToGoElsewhere() throws Exception {
    script.say(new WatchMessage.Created(3, 4));
    client.next();
    service.stop();
    Status status = client.end();
    assertThat(status.getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(status.getDescription()).isEqualTo("etcdserver: server stopped");
    assertThat(script.closed.await(20, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void aStreamThatFailsEndsTheCall() throws Exception {
    script.failure = new IllegalStateException("x");
    script.say(new WatchMessage.Created(3, 4));
    assertThat(client.end().getCode()).isEqualTo(Status.Code.INTERNAL);
    assertThat(script.closed.await(20, TimeUnit.SECONDS)).isTrue();
  }

  /** A stream that says what the test has written, and keeps what it is asked. */
  private static final class Script implements WatchStream {
    final LinkedBlockingQueue<WatchMessage> messages = new LinkedBlockingQueue<>();
    final LinkedBlockingQueue<Object> requests = new LinkedBlockingQueue<>();
    final AtomicInteger taken = new AtomicInteger();
    final CountDownLatch closed = new CountDownLatch(1);
    volatile @Nullable RuntimeException failure;
    volatile Runnable listener = () -> {};

    @Nullable Object nextRequest() throws InterruptedException {
      return requests.poll(20, TimeUnit.SECONDS);
    }

    @Override
    public void create(io.harikube.watch.WatchRequest request) {
      requests.add(request);
    }

    @Override
    public void cancel(long watchId) {
      requests.add(watchId);
    }

    @Override
    public void progress() {
      requests.add("progress");
    }

    @Override
    public WatchMessage take() {
      throw new UnsupportedOperationException();
    }

    void say(WatchMessage message) {
      messages.add(message);
      listener.run();
    }

    @Override
    public void listen(Runnable newListener) {
      listener = newListener;
      newListener.run();
    }

    @Override
    public @Nullable WatchMessage poll() {
      WatchMessage message = messages.poll();
      RuntimeException toThrow = failure;
      if (message != null && toThrow != null) {
        throw toThrow;
      }
      if (message != null) {
        taken.incrementAndGet();
      }
      return message;
    }

    @Override
    public void close() {
      closed.countDown();
    }
  }
}
