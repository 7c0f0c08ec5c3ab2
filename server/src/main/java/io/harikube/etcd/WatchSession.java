package io.harikube.etcd;

import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.etcd.proto.WatchCreateRequest.FilterType;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.Selectors;
import io.harikube.watch.Selection;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchStream;
import io.netty.util.concurrent.EventExecutor;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * One client's watch stream.
 *
 * <pre>
 *   requests (event loop) ──► WatchStream ──► messages (event loop) ──► client
 *
 *          client cancels, or fails; stop(): it is told to go elsewhere
 *   OPEN ──────────────────────────────────────────────────────────────► CLOSED
 * </pre>
 *
 * <p>Everything happens on the event loop of the connection. Requests are forwarded as they come.
 * Messages are taken from the watch stream while the client takes what was sent before, so that
 * what a slow client has not read waits in the watch stream, whose memory is bounded. A client that
 * ends its requests keeps its watches, as with etcd.
 */
final class WatchSession implements StreamObserver<WatchRequest> {
  private static final Bytes FIRST_KEY = Bytes.of(new byte[] {0});

  private final ServerCallStreamObserver<WatchResponse> call;
  private final WatchStream stream;
  private final Headers headers;
  private final Selectors selectors;
  private final EventExecutor loop;
  private final Consumer<WatchSession> onClose;
  private final AtomicBoolean sending = new AtomicBoolean();
  private final CountDownLatch closed = new CountDownLatch(1);
  private boolean over;

  WatchSession(
      StreamObserver<WatchResponse> call,
      WatchStream stream,
      Headers headers,
      Selectors selectors,
      EventExecutor loop,
      Consumer<WatchSession> onClose) {
    this.selectors = selectors;
    this.call = (ServerCallStreamObserver<WatchResponse>) call;
    this.stream = stream;
    this.headers = headers;
    this.loop = loop;
    this.onClose = onClose;
    this.call.setOnReadyHandler(this::sendLater);
    this.call.setOnCancelHandler(this::stop);
  }

  void start() {
    stream.listen(this::sendLater);
  }

  /** Ends the stream from this side. */
  void stop() {
    onLoop(() -> close(Errors.STOPPED));
  }

  /** Waits until the watch stream is closed. */
  void await(Duration patience) throws InterruptedException {
    var _ = closed.await(patience.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void onNext(WatchRequest request) {
    switch (request.getRequestUnionCase()) {
      case CREATE_REQUEST -> stream.create(watch(request.getCreateRequest(), selectors));
      case CANCEL_REQUEST -> stream.cancel(request.getCancelRequest().getWatchId());
      case PROGRESS_REQUEST -> stream.progress();
      case REQUESTUNION_NOT_SET -> {}
    }
  }

  @Override
  public void onError(Throwable failure) {
    stop();
  }

  @Override
  public void onCompleted() {}

  /** There may be something to be sent, and someone to take it. */
  private void sendLater() {
    if (sending.compareAndSet(false, true)) {
      onLoop(this::send);
    }
  }

  private void onLoop(Runnable task) {
    try {
      loop.execute(task);
    } catch (RejectedExecutionException e) {
      // The server is gone, and its clients with it.
      stream.close();
    }
  }

  private void send() {
    sending.set(false);
    if (over) {
      return;
    }
    try {
      while (call.isReady()) {
        WatchMessage message = stream.poll();
        if (message == null) {
          return;
        }
        call.onNext(response(message));
      }
    } catch (CancellationException e) {
      // The watches have been closed under us.
      close(Errors.STOPPED);
    } catch (RuntimeException | Error e) {
      close(Errors.of(e));
    }
  }

  /** A client that is gone does not see why. */
  private void close(Status status) {
    if (over) {
      return;
    }
    over = true;
    try {
      call.onError(status.asRuntimeException());
    } finally {
      stream.close();
      onClose.accept(this);
      closed.countDown();
    }
  }

  /** The watch that a request asks for. Filters that are not known are passed over. */
  static io.harikube.watch.WatchRequest watch(WatchCreateRequest request, Selectors selectors) {
    Bytes key = request.getKey().isEmpty() ? FIRST_KEY : Wire.bytes(request.getKey());
    List<FilterType> filters = request.getFiltersList();
    KeyRange range = KeyRange.ofRequest(key, Wire.bytes(request.getRangeEnd()));
    Selectors.Selected selected =
        selectors.select(range, request.getLabelSelector(), request.getFieldSelector());
    Filter filter = selected.filter();
    return new io.harikube.watch.WatchRequest(
        request.getWatchId(),
        // A selector that nothing can match is no mistake of the client's, as an empty range is.
        selected.range().isEmpty() ? range : selected.range(),
        request.getStartRevision(),
        request.getPrevKv(),
        filters.contains(FilterType.NOPUT),
        filters.contains(FilterType.NODELETE),
        request.getProgressNotify(),
        request.getFragment(),
        filter.isEmpty() ? Selection.ALL : new Selection(filter, selectors.reader()));
  }

  /**
   * Shows of several changes of a key in one revision what was before all of them: so does etcd.
   */
  private static Event beforeRevision(Event event, List<Event> message) {
    KeyValue previous = event.previous();
    if (previous == null || previous.modRevision() < event.revision()) {
      return event;
    }
    for (Event first : message) {
      if (first.revision() == event.revision() && first.kv().key().equals(event.kv().key())) {
        KeyValue before = first.previous();
        boolean older = before != null && before.modRevision() < event.revision();
        return new Event(event.kv(), older ? before : null);
      }
    }
    return event;
  }

  private WatchResponse response(WatchMessage message) {
    WatchResponse.Builder wire =
        WatchResponse.newBuilder()
            .setHeader(headers.at(message.revision()))
            .setWatchId(message.watchId());
    switch (message) {
      case WatchMessage.Created _ -> wire.setCreated(true);
      case WatchMessage.Progress _ -> {}
      case WatchMessage.Events events -> {
        for (Event event : events.events()) {
          wire.addEvents(Wire.event(beforeRevision(event, events.events())));
        }
        wire.setFragment(events.fragment());
      }
      case WatchMessage.Canceled canceled -> {
        wire.setCanceled(true)
            .setCreated(canceled.created())
            .setCompactRevision(canceled.compactRevision())
            .setCancelReason(canceled.reason());
        if (canceled.compactRevision() != 0) {
          // etcd names no current revision there.
          wire.setHeader(headers.at(0));
        }
      }
    }
    return wire.build();
  }
}
