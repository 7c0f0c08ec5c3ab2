package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.CompactionRequest;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.Event;
import io.harikube.etcd.proto.Event.EventType;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.WatchCancelRequest;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.etcd.proto.WatchProgressRequest;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import io.harikube.store.Store;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Watches of a store, as a client sees them. */
@Timeout(60)
final class EtcdWatchTest {
  @TempDir private Path dir;
  private Store store;
  private WatchHub hub;
  private EtcdServer server;
  private ManagedChannel channel;
  private Reader<WatchRequest, WatchResponse> client;

  @BeforeEach
  void start() throws Exception {
    store = TestStore.open(dir);
    hub = new WatchHub(store.log(), WatchOptions.defaults());
    server = EtcdServer.builder(store, hub::open).listen("127.0.0.1:0").build();
    server.start();
    channel = Connection.channel(server.port());
    client = new Reader<>(channel, EtcdApi.WATCH_STREAM);
  }

  @AfterEach
  void stop() {
    if (channel != null) {
      channel.shutdownNow();
      server.close();
      assertThat(hub.streams()).isZero();
      hub.close();
      store.close();
    }
  }

  @Test
  void eventsAsTheyHappen() throws Exception {
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setRangeEnd(key("c")).setPrevKv(true));
    WatchResponse created = client.next();
    assertThat(created.getCreated()).isTrue();
    assertThat(created.getHeader().getRevision()).isEqualTo(1);
    put("a", "1");
    put("c", "1");
    put("a", "2");
    ClientCalls.blockingUnaryCall(
        channel,
        EtcdApi.DELETE_RANGE,
        CallOptions.DEFAULT,
        DeleteRangeRequest.newBuilder().setKey(key("a")).build());
    List<Event> events = events(created.getWatchId(), 3);
    assertThat(events)
        .extracting(event -> event.getKv().getModRevision())
        .containsExactly(2L, 4L, 5L);
    assertThat(events)
        .extracting(Event::getType)
        .containsExactly(EventType.PUT, EventType.PUT, EventType.DELETE);
    assertThat(events).extracting(Event::hasPrevKv).containsExactly(false, true, true);
  }

  /** A transaction may put a key and delete everything from it on: etcd takes them for two keys. */
  @Test
  void whatWasBeforeIsWhatWasBeforeTheRevision() throws Exception {
    put("a", "1");
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setRangeEnd(key("c")).setPrevKv(true));
    assertThat(client.next().getCreated()).isTrue();
    for (String name : new String[] {"a", "b"}) {
      var put = RequestOp.newBuilder().setRequestPut(TestServer.putRequest(name, "2"));
      var delete = DeleteRangeRequest.newBuilder().setKey(key(name)).setRangeEnd(key("\0"));
      ClientCalls.blockingUnaryCall(
          channel,
          EtcdApi.TXN,
          CallOptions.DEFAULT,
          TxnRequest.newBuilder()
              .addSuccess(put)
              .addSuccess(RequestOp.newBuilder().setRequestDeleteRange(delete))
              .build());
    }
    List<Event> events = events(0, 4);
    assertThat(events.get(0).getPrevKv().getValue()).isEqualTo(key("1"));
    assertThat(events.get(1).getType()).isEqualTo(EventType.DELETE);
    assertThat(events.get(1).getPrevKv().getValue()).isEqualTo(key("1"));
    assertThat(events.subList(2, 4)).noneMatch(Event::hasPrevKv);
  }

  /** Also to a watch that is not shown the change which the revision began with. */
  @Test
  void whatWasBeforeIsThatForWatchesThatWantDeletionsOnly() throws Exception {
    put("a", "1");
    var request =
        WatchCreateRequest.newBuilder()
            .setKey(key("a"))
            .setPrevKv(true)
            .addFilters(WatchCreateRequest.FilterType.NOPUT);
    create(request);
    assertThat(client.next().getCreated()).isTrue();
    var put = RequestOp.newBuilder().setRequestPut(TestServer.putRequest("a", "2"));
    var delete = DeleteRangeRequest.newBuilder().setKey(key("a")).setRangeEnd(key("\0"));
    ClientCalls.blockingUnaryCall(
        channel,
        EtcdApi.TXN,
        CallOptions.DEFAULT,
        TxnRequest.newBuilder()
            .addSuccess(put)
            .addSuccess(RequestOp.newBuilder().setRequestDeleteRange(delete))
            .build());
    WatchResponse live = client.next();
    assertThat(live.getEventsList()).hasSize(1);
    assertThat(live.getEvents(0).getPrevKv().getValue()).isEqualTo(key("1"));

    hub.close();
    server.close();
    hub = new WatchHub(store.log(), WatchOptions.defaults());
    server = EtcdServer.builder(store, hub::open).listen("127.0.0.1:0").build();
    server.start();
    channel.shutdownNow();
    channel = Connection.channel(server.port());
    client = new Reader<>(channel, EtcdApi.WATCH_STREAM);
    create(request.setStartRevision(2));
    assertThat(client.next().getCreated()).isTrue();
    assertThat(client.next().getEvents(0).getPrevKv().getValue()).isEqualTo(key("1"));
  }

  @Test
  void eventsOfThePastAndProgress() throws Exception {
    put("a", "1");
    put("a", "2");
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setStartRevision(2).setWatchId(7));
    assertThat(client.next().getWatchId()).isEqualTo(7);
    assertThat(events(7, 2)).extracting(Event::getType).containsOnly(EventType.PUT);
    client.send(
        WatchRequest.newBuilder()
            .setProgressRequest(WatchProgressRequest.getDefaultInstance())
            .build());
    WatchResponse progress = client.next();
    assertThat(progress.getWatchId()).isEqualTo(-1);
    assertThat(progress.getHeader().getRevision()).isEqualTo(3);
    client.send(
        WatchRequest.newBuilder()
            .setCancelRequest(WatchCancelRequest.newBuilder().setWatchId(7))
            .build());
    WatchResponse canceled = client.next();
    assertThat(canceled.getCanceled()).isTrue();
    assertThat(canceled.getCancelReason()).isEmpty();
  }

  @Test
  void refusals() throws Exception {
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setStartRevision(-1));
    refused("etcdserver: mvcc: required revision has been compacted");
    create(WatchCreateRequest.newBuilder().setKey(key("b")).setRangeEnd(key("a")));
    refused("mvcc: watcher range is empty");
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setWatchId(3));
    assertThat(client.next().getWatchId()).isEqualTo(3);
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setWatchId(3));
    refused("mvcc: duplicate watch ID provided on the WatchStream");
  }

  @Test
  void compacted() throws Exception {
    put("a", "1");
    put("a", "2");
    ClientCalls.blockingUnaryCall(
        channel,
        EtcdApi.COMPACT,
        CallOptions.DEFAULT,
        CompactionRequest.newBuilder().setRevision(3).build());
    create(WatchCreateRequest.newBuilder().setKey(key("a")).setStartRevision(2));
    WatchResponse created = client.next();
    assertThat(created.getCreated()).isTrue();
    assertThat(created.getCanceled()).isFalse();
    WatchResponse canceled = client.next();
    assertThat(canceled.getCanceled()).isTrue();
    assertThat(canceled.getCompactRevision()).isEqualTo(3);
    assertThat(canceled.getHeader().getRevision()).isZero();
  }

  @Test
  void closingTheServerSendsTheClientElsewhere() throws Exception {
    create(WatchCreateRequest.newBuilder().setKey(key("a")));
    client.next();
    server.close();
    Status status = client.end();
    assertThat(status.getCode()).isEqualTo(Status.Code.UNAVAILABLE);
    assertThat(status.getDescription()).isEqualTo("etcdserver: server stopped");
  }

  private void refused(String reason) throws InterruptedException {
    WatchResponse response = client.next();
    assertThat(response.getCreated()).isTrue();
    assertThat(response.getCanceled()).isTrue();
    assertThat(response.getWatchId()).isEqualTo(-1);
    assertThat(response.getCancelReason()).isEqualTo(reason);
  }

  /**
   * The next events of a watch. How many messages they come in depends on how fast the client is:
   * each says in its header how far the watch is.
   */
  private List<Event> events(long watchId, int count) throws InterruptedException {
    List<Event> events = new ArrayList<>();
    while (events.size() < count) {
      WatchResponse response = client.next();
      assertThat(response.getWatchId()).isEqualTo(watchId);
      assertThat(response.getEventsList()).isNotEmpty();
      events.addAll(response.getEventsList());
      assertThat(response.getHeader().getRevision())
          .isBetween(events.getLast().getKv().getModRevision(), store.status().revision());
    }
    assertThat(events).hasSize(count);
    return events;
  }

  private void create(WatchCreateRequest.Builder watch) {
    client.send(WatchRequest.newBuilder().setCreateRequest(watch).build());
  }

  private void put(String key, String value) {
    ClientCalls.blockingUnaryCall(
        channel,
        EtcdApi.PUT,
        CallOptions.DEFAULT,
        PutRequest.newBuilder().setKey(key(key)).setValue(key(value)).build());
  }

  private static ByteString key(String text) {
    return ByteString.copyFromUtf8(text);
  }
}
