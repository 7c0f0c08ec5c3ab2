package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import io.harikube.store.Selectors;
import io.harikube.watch.WatchStream;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** etcd's Watch service: a session for each stream. */
final class WatchService {
  private final Supplier<WatchStream> streams;
  private final Headers headers;
  private final Selectors selectors;
  private final EventLoops loops;
  private final Set<WatchSession> sessions = ConcurrentHashMap.newKeySet();
  private volatile boolean stopped;

  WatchService(
      Supplier<WatchStream> streams, Headers headers, Selectors selectors, EventLoops loops) {
    this.loops = loops;
    this.selectors = selectors;
    this.streams = streams;
    this.headers = headers;
  }

  ServerServiceDefinition bind() {
    return ServerServiceDefinition.builder("etcdserverpb.Watch")
        .addMethod(EtcdApi.WATCH_STREAM, ServerCalls.asyncBidiStreamingCall(this::watch))
        .build();
  }

  private StreamObserver<WatchRequest> watch(StreamObserver<WatchResponse> call) {
    WatchStream stream;
    try {
      stream = streams.get();
    } catch (IllegalStateException e) {
      // The watches have been closed before the server.
      call.onError(Errors.STOPPED.asRuntimeException());
      return new Ignored();
    }
    var session =
        new WatchSession(call, stream, headers, selectors, loops.current(), sessions::remove);
    sessions.add(session);
    session.start();
    if (stopped) {
      session.stop();
    }
    return session;
  }

  /** Ends all streams, and those that come. The clients go elsewhere, or come back. */
  void stop() {
    stopped = true;
    sessions.forEach(WatchSession::stop);
  }

  /** Waits until the streams that have been ended are closed, so that the hub may be. */
  void await(Duration patience) throws InterruptedException {
    for (WatchSession session : sessions) {
      session.await(patience);
    }
  }

  /** Requests of a call that has ended. */
  private static final class Ignored implements StreamObserver<WatchRequest> {
    @Override
    public void onNext(WatchRequest request) {}

    @Override
    public void onError(Throwable failure) {}

    @Override
    public void onCompleted() {}
  }
}
