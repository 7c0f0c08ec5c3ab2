package io.harikube.etcd;

import io.grpc.ServerServiceDefinition;
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
  private final Set<WatchSession> sessions = ConcurrentHashMap.newKeySet();
  private volatile boolean stopped;

  WatchService(Supplier<WatchStream> streams, Headers headers, Selectors selectors) {
    this.selectors = selectors;
    this.streams = streams;
    this.headers = headers;
  }

  ServerServiceDefinition bind(Calls calls) {
    return ServerServiceDefinition.builder("etcdserverpb.Watch")
        .addMethod(EtcdApi.WATCH_STREAM, calls.stream(this::watch))
        .build();
  }

  private Flow.Party<WatchRequest> watch(Flow<WatchRequest, WatchResponse> flow) {
    WatchStream stream;
    try {
      stream = streams.get();
    } catch (IllegalStateException e) {
      // The watches have been closed before the server.
      flow.close(Errors.STOPPED);
      return new Ignored();
    }
    var session = new WatchSession(flow, stream, headers, selectors, sessions::remove);
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
  private static final class Ignored implements Flow.Party<WatchRequest> {
    @Override
    public void request(WatchRequest request) {}

    @Override
    public void lastRequest() {}

    @Override
    public void room() {}

    @Override
    public void ended() {}
  }
}
