package io.harikube.etcd;

import io.grpc.Status;
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
final class KeepAliveSession implements Flow.Party<LeaseKeepAliveRequest> {
  private final Flow<LeaseKeepAliveRequest, LeaseKeepAliveResponse> flow;
  private final Store store;
  private final Headers headers;
  private final Consumer<KeepAliveSession> onClose;
  private boolean renewing;
  private boolean asked;
  private boolean halfClosed;
  private boolean done;

  KeepAliveSession(
      Flow<LeaseKeepAliveRequest, LeaseKeepAliveResponse> flow,
      Store store,
      Headers headers,
      Consumer<KeepAliveSession> onClose) {
    this.flow = flow;
    this.store = store;
    this.headers = headers;
    this.onClose = onClose;
    ask();
  }

  @Override
  public void request(LeaseKeepAliveRequest request) {
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
        finish(status);
        return;
      }
      flow.send(
          LeaseKeepAliveResponse.newBuilder()
              .setHeader(header)
              .setID(id)
              .setTTL(lease == null ? 0 : lease.grantedTtl())
              .build());
      if (halfClosed) {
        finish(Status.OK);
        return;
      }
    }
    ask();
  }

  private synchronized void finish(Status status) {
    if (!done) {
      done = true;
      flow.close(status);
    }
  }

  private void ask() {
    synchronized (this) {
      if (asked || renewing || done || halfClosed || !flow.isReady()) {
        return;
      }
      asked = true;
    }
    flow.ask(1);
  }

  @Override
  public synchronized void lastRequest() {
    halfClosed = true;
    if (!renewing) {
      finish(Status.OK);
    }
  }

  @Override
  public void room() {
    ask();
  }

  @Override
  public void stalled() {
    finish(Errors.GIVEN_UP);
  }

  @Override
  public void ended() {
    synchronized (this) {
      done = true;
    }
    onClose.accept(this);
  }

  /** Ends the stream from this side. */
  void stop(Status why) {
    finish(why);
  }
}
