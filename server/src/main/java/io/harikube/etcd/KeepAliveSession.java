package io.harikube.etcd;

import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.harikube.etcd.proto.LeaseKeepAliveRequest;
import io.harikube.etcd.proto.LeaseKeepAliveResponse;
import io.harikube.etcd.proto.ResponseHeader;
import io.harikube.store.Lease;
import io.harikube.store.Store;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One client's keep-alive stream: a request is taken when the one before has been answered and the
 * client has read, so answers keep the order and a client that does not read holds up itself.
 *
 * <pre>
 *            request                     renewed, or unknown: answer, TTL 0
 *   WAITING ─────────► RENEWING ──────────────────────────────────────► WAITING
 *      │ no more requests  │ no more requests: after the answer, or an error
 *      └───────► DONE ◄────┘
 * </pre>
 */
final class KeepAliveSession implements StreamObserver<LeaseKeepAliveRequest> {
  private final ServerCallStreamObserver<LeaseKeepAliveResponse> call;
  private final Store store;
  private final Headers headers;
  private boolean renewing;
  private boolean asked;
  private boolean halfClosed;
  private boolean done;

  KeepAliveSession(
      StreamObserver<LeaseKeepAliveResponse> call,
      Store store,
      Headers headers,
      Consumer<KeepAliveSession> onClose) {
    this.call = (ServerCallStreamObserver<LeaseKeepAliveResponse>) call;
    this.store = store;
    this.headers = headers;
    this.call.disableAutoRequest();
    this.call.setOnReadyHandler(this::ask);
    this.call.setOnCancelHandler(() -> onClose.accept(this));
    this.call.setOnCloseHandler(() -> onClose.accept(this));
    ask();
  }

  @Override
  public void onNext(LeaseKeepAliveRequest request) {
    // The header is from before the renewal: a client never sees a lease kept alive at a revision
    // at which it was already gone.
    ResponseHeader header = headers.now();
    synchronized (this) {
      asked = false;
      renewing = true;
    }
    long id = request.getID();
    var _ =
        store.keepAlive(id).whenComplete((lease, failure) -> renewed(id, header, lease, failure));
  }

  private void renewed(
      long id, ResponseHeader header, @Nullable Lease lease, @Nullable Throwable failure) {
    synchronized (this) {
      renewing = false;
      if (done) {
        return;
      }
      Status status = failure == null ? Status.OK : Errors.of(failure);
      if (!status.isOk() && !status.equals(Errors.LEASE_NOT_FOUND)) {
        done = true;
        call.onError(status.asRuntimeException());
        return;
      }
      call.onNext(
          LeaseKeepAliveResponse.newBuilder()
              .setHeader(header)
              .setID(id)
              .setTTL(lease == null ? 0 : lease.grantedTtl())
              .build());
      if (halfClosed) {
        done = true;
        call.onCompleted();
        return;
      }
    }
    ask();
  }

  private void ask() {
    synchronized (this) {
      if (asked || renewing || done || halfClosed || !call.isReady()) {
        return;
      }
      asked = true;
    }
    call.request(1);
  }

  @Override
  public synchronized void onCompleted() {
    halfClosed = true;
    if (!renewing && !done) {
      done = true;
      call.onCompleted();
    }
  }

  @Override
  public synchronized void onError(Throwable failure) {
    done = true;
  }

  /** Ends the stream from this side. */
  synchronized void stop(Status why) {
    if (!done) {
      done = true;
      call.onError(why.asRuntimeException());
    }
  }
}
