package io.harikube.etcd;

import io.grpc.Status;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.etcd.proto.WatchCreateRequest.FilterType;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.Selectors;
import io.harikube.watch.Selection;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchStream;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * One client's watch stream.
 *
 * <pre>
 *   requests (event loop) ──► WatchStream ──► messages (event loop) ──► client
 *
 *          the call ends; stop(): the client is told to go elsewhere
 *   OPEN ──────────────────────────────────────────────────────────────► CLOSED
 * </pre>
 *
 * <p>Messages are taken from the watch stream while the client takes what was sent before, so that
 * what a slow client has not read waits in the watch stream, whose memory is bounded. For the same
 * reason requests, each of which is answered, are taken one at a time, and only then. A client that
 * ends its requests keeps its watches, as with etcd.
 */
final class WatchSession implements Flow.Party<WatchRequest> {
  private static final Bytes FIRST_KEY = Bytes.of(new byte[] {0});

  private final Flow<WatchRequest, WatchResponse> flow;
  private final WatchStream stream;
  private final Headers headers;
  private final Selectors selectors;
  private final Consumer<WatchSession> onClose;
  private final AtomicBoolean asked = new AtomicBoolean();
  private final AtomicBoolean sending = new AtomicBoolean();
  private final AtomicBoolean over = new AtomicBoolean();
  private final CountDownLatch closed = new CountDownLatch(1);

  WatchSession(
      Flow<WatchRequest, WatchResponse> flow,
      WatchStream stream,
      Headers headers,
      Selectors selectors,
      Consumer<WatchSession> onClose) {
    this.flow = flow;
    this.stream = stream;
    this.headers = headers;
    this.selectors = selectors;
    this.onClose = onClose;
  }

  void start() {
    stream.listen(this::sendLater);
    ask();
  }

  /** Ends the stream from this side. */
  void stop() {
    flow.peer().onLoop(() -> close(Errors.STOPPED));
  }

  /** Waits until the watch stream is closed. */
  void await(Duration patience) throws InterruptedException {
    var _ = closed.await(patience.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void request(WatchRequest request) {
    try {
      switch (request.getRequestUnionCase()) {
        case CREATE_REQUEST -> stream.create(watch(request.getCreateRequest(), selectors));
        case CANCEL_REQUEST -> stream.cancel(request.getCancelRequest().getWatchId());
        case PROGRESS_REQUEST -> stream.progress();
        case REQUESTUNION_NOT_SET -> {}
      }
    } catch (RuntimeException e) {
      close(Errors.of(e));
      return;
    }
    asked.set(false);
    // Not here: else all that has come would be handled before anybody else has a turn.
    flow.peer().onLoop(this::ask);
  }

  private void ask() {
    if (flow.isReady() && asked.compareAndSet(false, true)) {
      flow.ask(1);
    }
  }

  @Override
  public void lastRequest() {}

  @Override
  public void room() {
    ask();
    sendLater();
  }

  @Override
  public void stalled() {
    close(Errors.GIVEN_UP);
  }

  @Override
  public void ended() {
    close(Errors.CANCELED);
  }

  /** There may be something to be sent, and someone to take it. */
  private void sendLater() {
    if (sending.compareAndSet(false, true)) {
      flow.peer().onLoop(this::send);
    }
  }

  private void send() {
    sending.set(false);
    if (over.get()) {
      return;
    }
    try {
      while (flow.isReady()) {
        WatchMessage message = stream.poll();
        if (message == null) {
          return;
        }
        flow.send(response(message));
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
    if (over.getAndSet(true)) {
      return;
    }
    try {
      flow.close(status);
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
          wire.addEvents(Wire.event(event));
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
