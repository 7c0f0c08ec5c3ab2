package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A client's side of a streaming call, which reads only what it is told to. */
final class Reader<Q, A> extends ClientCall.Listener<A> {
  private static final long PATIENCE_SECONDS = 20;

  private final ClientCall<Q, A> call;
  private final BlockingQueue<A> received = new LinkedBlockingQueue<>();
  private final CompletableFuture<Status> closed = new CompletableFuture<>();

  Reader(Channel channel, MethodDescriptor<Q, A> method) {
    call = channel.newCall(method, CallOptions.DEFAULT);
    call.start(this, new Metadata());
  }

  void send(Q request) {
    call.sendMessage(request);
  }

  void halfClose() {
    call.halfClose();
  }

  void cancel() {
    call.cancel("the test is done", null);
  }

  /** Takes one more message off the network, and returns it. */
  A next() throws InterruptedException {
    call.request(1);
    @Nullable A message = received.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    assertThat(message).as("a message in time").isNotNull();
    return java.util.Objects.requireNonNull(message);
  }

  /** Reads on until the call has ended. */
  Status end() throws Exception {
    call.request(Integer.MAX_VALUE);
    return closed.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
  }

  BlockingQueue<A> received() {
    return received;
  }

  @Override
  public void onMessage(A message) {
    received.add(message);
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    closed.complete(status);
  }
}
