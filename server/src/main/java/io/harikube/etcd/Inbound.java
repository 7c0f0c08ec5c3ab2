package io.harikube.etcd;

import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.ServerStreamTracer;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link Flow} cannot do itself: it is told what has come of a message before the message is
 * there, and it can break the call off.
 */
final class Inbound extends ServerStreamTracer {
  static final Context.Key<Inbound> KEY = Context.key("harikube-inbound");

  /** One for each call. */
  static final Factory FACTORY =
      new Factory() {
        @Override
        public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
          return new Inbound();
        }
      };

  private @Nullable Flow<?, ?> flow;
  private Context.@Nullable CancellableContext context;

  private Inbound() {}

  /** Names the flow of the call, before it takes a message. */
  void flow(Flow<?, ?> value) {
    flow = value;
  }

  @Override
  public Context filterContext(Context parent) {
    Context.CancellableContext own = parent.withCancellation();
    context = own;
    return own.withValue(KEY, this);
  }

  /**
   * Resets the call, whatever waits to be sent. The call's own context ends with this one, and if
   * its time is over, and then only, grpc-java resets a call.
   */
  void reset() {
    if (context != null) {
      var _ = context.cancel(new TimeoutException("the client has been given up"));
    }
  }

  @Override
  public void inboundWireSize(long bytes) {
    if (flow != null) {
      flow.arriving(bytes);
    }
  }
}
