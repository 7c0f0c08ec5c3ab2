package io.harikube.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.stub.ClientCalls;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Phaser;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Counts the calls of a real server. */
class GrpcMetricsTest {
  private static final String LABELS =
      "{grpc_method=\"%s\",grpc_service=\"grpc.health.v1.Health\",grpc_type=\"%s\"} %s";

  private final Metrics metrics = new Metrics();
  private final GrpcMetrics grpc = new GrpcMetrics(metrics);

  /** Arrives when a call has ended on the server, which is later than on the client. */
  private final Phaser ended = new Phaser(1);

  private Server server;
  private ManagedChannel channel;

  @BeforeEach
  void serve() throws Exception {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .addService(new HealthStatusManager().getHealthService())
            .addStreamTracerFactory(grpc)
            .addStreamTracerFactory(
                new ServerStreamTracer.Factory() {
                  @Override
                  public ServerStreamTracer newServerStreamTracer(
                      String method, io.grpc.Metadata headers) {
                    return new ServerStreamTracer() {
                      @Override
                      public void streamClosed(Status status) {
                        ended.arrive();
                      }
                    };
                  }
                })
            .build()
            .start();
    grpc.register(server.getServices());
    channel = NettyChannelBuilder.forAddress("localhost", server.getPort()).usePlaintext().build();
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    server.shutdownNow();
  }

  private void awaitEnd(int phase) throws Exception {
    ended.awaitAdvanceInterruptibly(phase, 20, TimeUnit.SECONDS);
  }

  private List<String> lines() {
    return MetricsTest.lines(metrics);
  }

  @Test
  void allSeriesAreThereFromTheStart() {
    assertThat(lines())
        .contains(
            "grpc_server_started_total" + LABELS.formatted("Check", "unary", "0.0"),
            "grpc_server_msg_sent_total" + LABELS.formatted("Watch", "server_stream", "0.0"))
        .filteredOn(line -> line.startsWith("grpc_server_handled_total{"))
        .hasSize(server.getServices().getFirst().getMethods().size() * 17);
  }

  @Test
  void unaryCalls() throws Exception {
    int phase = ended.getPhase();
    HealthGrpc.newBlockingStub(channel).check(HealthCheckRequest.getDefaultInstance());
    awaitEnd(phase);
    HealthCheckRequest unknown = HealthCheckRequest.newBuilder().setService("none").build();
    assertThatThrownBy(() -> HealthGrpc.newBlockingStub(channel).check(unknown))
        .isInstanceOf(StatusRuntimeException.class);
    awaitEnd(phase + 1);

    int answer =
        HealthCheckResponse.newBuilder()
            .setStatus(HealthCheckResponse.ServingStatus.SERVING)
            .build()
            .getSerializedSize();
    assertThat(lines())
        .contains(
            "grpc_server_started_total" + LABELS.formatted("Check", "unary", "2.0"),
            "grpc_server_msg_received_total" + LABELS.formatted("Check", "unary", "2.0"),
            "grpc_server_msg_sent_total" + LABELS.formatted("Check", "unary", "1.0"),
            "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Check\","
                + "grpc_service=\"grpc.health.v1.Health\",grpc_type=\"unary\"} 1.0",
            "grpc_server_handled_total{grpc_code=\"NotFound\",grpc_method=\"Check\","
                + "grpc_service=\"grpc.health.v1.Health\",grpc_type=\"unary\"} 1.0",
            "etcd_network_client_grpc_received_bytes_total " + (double) unknown.getSerializedSize(),
            "etcd_network_client_grpc_sent_bytes_total " + (double) answer);
  }

  @Test
  void aStreamThatTheClientCancels() throws Exception {
    int phase = ended.getPhase();
    var context = io.grpc.Context.current().withCancellation();
    context.run(
        () -> {
          Iterator<HealthCheckResponse> answers =
              HealthGrpc.newBlockingStub(channel).watch(HealthCheckRequest.getDefaultInstance());
          assertThat(answers.next()).isNotNull();
        });
    context.cancel(null);
    awaitEnd(phase);
    assertThat(lines())
        .contains(
            "grpc_server_msg_sent_total" + LABELS.formatted("Watch", "server_stream", "1.0"),
            "grpc_server_handled_total{grpc_code=\"Canceled\",grpc_method=\"Watch\","
                + "grpc_service=\"grpc.health.v1.Health\",grpc_type=\"server_stream\"} 1.0");
  }

  @Test
  void anUnknownMethodMakesNoSeries() throws Exception {
    int phase = ended.getPhase();
    MethodDescriptor<HealthCheckRequest, HealthCheckResponse> unknown =
        HealthGrpc.getCheckMethod().toBuilder().setFullMethodName("made.Up/Name").build();
    assertThatThrownBy(
            () ->
                ClientCalls.blockingUnaryCall(
                    channel, unknown, CallOptions.DEFAULT, HealthCheckRequest.getDefaultInstance()))
        .isInstanceOf(StatusRuntimeException.class);
    awaitEnd(phase);
    assertThat(lines()).noneMatch(line -> line.contains("made.Up"));
  }

  @ParameterizedTest
  @CsvSource({
    "OK, OK",
    "CANCELLED, Canceled",
    "INVALID_ARGUMENT, InvalidArgument",
    "OUT_OF_RANGE, OutOfRange",
    "DATA_LOSS, DataLoss",
    "UNAVAILABLE, Unavailable"
  })
  void codesAsGoWritesThem(Status.Code code, String name) {
    assertThat(GrpcMetrics.name(code)).isEqualTo(name);
  }
}
