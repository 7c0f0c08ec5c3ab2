package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.KeyValue;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RangeStreamResponse;
import io.harikube.store.MemoryBudget;
import io.harikube.store.StoreException;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An answer's memory is counted until it has been read, and never longer. */
@Timeout(60)
final class AnswerTest {
  private static final int SIZE = 1 << 20;
  private static final RangeRequest REQUEST = RangeRequest.getDefaultInstance();

  private final MemoryBudget budget = new MemoryBudget(100 << 20);
  private final Calls calls = TestServer.calls(budget, GlobalEventExecutor.INSTANCE);

  @Test
  void isGivenBackAfterAnAnswer() throws Exception {
    try (var connection = range(answer -> answer.send(answer(SIZE)))) {
      assertThat(call(connection).getKvs(0).getValue().size()).isEqualTo(SIZE);
      awaitUnused();
    }
  }

  @Test
  void isGivenBackAfterAFailure() throws Exception {
    try (var connection = range(answer -> answer.fail(Errors.COMPACTED))) {
      assertThatThrownBy(() -> call(connection))
          .hasMessage("OUT_OF_RANGE: " + Errors.COMPACTED.getDescription());
      awaitUnused();
    }
  }

  @Test
  void isGivenBackAfterAThrow() throws Exception {
    try (var connection =
        range(
            _ -> {
              throw new StoreException(StoreException.Reason.UNAVAILABLE, "gone");
            })) {
      assertThatThrownBy(() -> call(connection))
          .hasMessage("UNAVAILABLE: etcdserver: request timed out");
      awaitUnused();
    }
  }

  @Test
  void isGivenBackAfterAFutureThatFails() throws Exception {
    try (var connection =
        range(
            answer ->
                answer.sendWhen(
                    CompletableFuture.failedFuture(new IllegalStateException("x")),
                    _ -> answer(1)))) {
      assertThatThrownBy(() -> call(connection)).hasMessageStartingWith("INTERNAL: etcdserver:");
      awaitUnused();
    }
  }

  @Test
  void isGivenBackAfterAnAnswerThatCannotBeMade() throws Exception {
    try (var connection =
        range(
            answer ->
                answer.sendWhen(
                    CompletableFuture.completedFuture(1),
                    _ -> {
                      throw new IllegalStateException("x");
                    }))) {
      assertThatThrownBy(() -> call(connection)).hasMessageStartingWith("INTERNAL: etcdserver:");
      awaitUnused();
    }
  }

  @Test
  void isKeptWhileItIsMadeAlsoIfTheClientHasGone() throws Exception {
    var reached = new CountDownLatch(1);
    var used = new CompletableFuture<Long>();
    try (var connection =
        range(
            answer -> {
              answer.share().tryGrow(2 * SIZE);
              reached.countDown();
              while (!answer.isCancelled()) {
                Thread.onSpinWait();
              }
              used.complete(budget.used());
              answer.send(answer(SIZE));
            })) {
      var reader = new Reader<>(connection.channel(), EtcdApi.RANGE);
      reader.send(REQUEST);
      reader.halfClose();
      reached.await();
      reader.cancel();
      assertThat(reader.end().getCode()).isEqualTo(Status.Code.CANCELLED);
      assertThat(used.get(20, TimeUnit.SECONDS)).isEqualTo(2 * SIZE);
      awaitUnused();
    }
  }

  @Test
  void isKeptUntilASlowClientHasRead() throws Exception {
    var sent = new CountDownLatch(1);
    try (var connection =
        range(
            answer -> {
              answer.send(answer(8 << 20));
              sent.countDown();
            })) {
      var reader = new Reader<>(connection.channel(), EtcdApi.RANGE);
      reader.send(REQUEST);
      reader.halfClose();
      sent.await();
      assertThat(budget.used()).isEqualTo(SIZE);
      assertThat(reader.end().isOk()).isTrue();
      awaitUnused();
    }
  }

  @Test
  void isGivenBackWhenASlowClientGoes() throws Exception {
    try (var connection = range(answer -> answer.send(answer(8 << 20)))) {
      var reader = new Reader<>(connection.channel(), EtcdApi.RANGE);
      reader.send(REQUEST);
      reader.halfClose();
      await(() -> budget.used() == SIZE);
      reader.cancel();
      awaitUnused();
    }
  }

  @Test
  void partsWaitForTheClient() throws Exception {
    var pushed = new AtomicInteger();
    var gone = new CompletableFuture<Boolean>();
    ServerServiceDefinition service =
        ServerServiceDefinition.builder("etcdserverpb.KV")
            .addMethod(
                EtcdApi.RANGE_STREAM,
                calls.blocking(
                    (_, answer) -> {
                      answer.reserve(SIZE);
                      while (answer.push(part())) {
                        pushed.incrementAndGet();
                      }
                      gone.complete(true);
                      answer.fail(Errors.CANCELED);
                    }))
            .build();
    try (var connection = new Connection(service)) {
      var reader = new Reader<>(connection.channel(), EtcdApi.RANGE_STREAM);
      reader.send(REQUEST);
      reader.halfClose();
      for (int read = 1; read <= 100; read++) {
        assertThat(reader.next().getRangeResponse().getKvsCount()).isEqualTo(1);
        // What is on its way: a window of 64 KiB at the client, and as much at the server.
        assertThat(pushed.get() - read).isLessThan(10);
      }
      assertThat(budget.used()).isEqualTo(SIZE);
      reader.cancel();
      assertThat(gone.get(20, TimeUnit.SECONDS)).isTrue();
      awaitUnused();
    }
  }

  @FunctionalInterface
  private interface Body {
    void run(Answer<RangeResponse> answer) throws Exception;
  }

  /** A service whose ranges take {@link #SIZE} of the budget first. */
  private Connection range(Body body) throws Exception {
    return new Connection(
        ServerServiceDefinition.builder("etcdserverpb.KV")
            .addMethod(
                EtcdApi.RANGE,
                calls.blocking(
                    (_, answer) -> {
                      answer.reserve(SIZE);
                      body.run(answer);
                    }))
            .build());
  }

  private static RangeResponse call(Connection connection) {
    return ClientCalls.blockingUnaryCall(
        connection.channel(), EtcdApi.RANGE, CallOptions.DEFAULT, REQUEST);
  }

  private static RangeResponse answer(int size) {
    return RangeResponse.newBuilder()
        .addKvs(KeyValue.newBuilder().setValue(ByteString.copyFrom(new byte[size])))
        .build();
  }

  private static RangeStreamResponse part() {
    return RangeStreamResponse.newBuilder().setRangeResponse(answer(32 << 10)).build();
  }

  private void awaitUnused() {
    await(() -> budget.used() == 0);
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("in time").isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }
}
