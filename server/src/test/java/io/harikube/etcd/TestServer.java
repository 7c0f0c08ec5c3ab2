package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.PutResponse;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Selectors;
import io.harikube.store.Store;
import io.harikube.watch.WatchStream;
import io.netty.util.concurrent.EventExecutorGroup;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;

/** A server of a store, and a client of it. */
final class TestServer implements AutoCloseable {
  static final Supplier<WatchStream> NO_WATCHES =
      () -> {
        throw new UnsupportedOperationException("no watches in this test");
      };

  private final MemoryBudget budget = new MemoryBudget(64 << 20);
  private final Store store;
  private final EtcdServer server;
  private final ManagedChannel channel;

  TestServer(Path dir) throws Exception {
    this(TestStore.open(dir), Selectors.NONE);
  }

  /** A server that closes the store when it is closed. */
  TestServer(Store store, Selectors selectors) throws Exception {
    this.store = store;
    server =
        EtcdServer.builder(store, NO_WATCHES)
            .selectors(selectors)
            .budget(budget)
            .maxRequestBytes(100_000)
            .name("m0")
            .peerUrls(List.of("http://127.0.0.1:2380"))
            .clientUrls(List.of("http://127.0.0.1:2379"))
            .listen("127.0.0.1:0")
            .build();
    server.start();
    channel = Connection.channel(server.port());
  }

  /** Calls of clients of which each has one. */
  static Calls calls(MemoryBudget budget, EventExecutorGroup loops) {
    return new Calls(new Traffic(Limits.ofHeap(1 << 30), budget, new EventLoops(loops)));
  }

  Store store() {
    return store;
  }

  EtcdServer server() {
    return server;
  }

  ManagedChannel channel() {
    return channel;
  }

  MemoryBudget budget() {
    return budget;
  }

  <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    return ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, request);
  }

  <Q, A> void refused(MethodDescriptor<Q, A> method, Q request, String message) {
    assertThatThrownBy(() -> call(method, request)).hasMessage(message);
  }

  PutResponse put(String key, String value) {
    return call(EtcdApi.PUT, putRequest(key, value).build());
  }

  static PutRequest.Builder putRequest(String key, String value) {
    return PutRequest.newBuilder().setKey(key(key)).setValue(key(value));
  }

  static RangeRequest.Builder all() {
    return RangeRequest.newBuilder().setKey(key("\0")).setRangeEnd(key("\0"));
  }

  static ByteString key(String text) {
    return ByteString.copyFromUtf8(text);
  }

  @Override
  public void close() {
    channel.shutdownNow();
    server.close();
    store.close();
    assertThat(budget.used()).isZero();
  }
}
