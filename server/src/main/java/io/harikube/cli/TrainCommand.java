package io.harikube.cli;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.harikube.etcd.proto.CompactionRequest;
import io.harikube.etcd.proto.CompactionResponse;
import io.harikube.etcd.proto.Compare;
import io.harikube.etcd.proto.DeleteRangeRequest;
import io.harikube.etcd.proto.PutRequest;
import io.harikube.etcd.proto.RangeRequest;
import io.harikube.etcd.proto.RangeResponse;
import io.harikube.etcd.proto.RequestOp;
import io.harikube.etcd.proto.TxnRequest;
import io.harikube.etcd.proto.TxnResponse;
import io.harikube.etcd.proto.WatchCreateRequest;
import io.harikube.etcd.proto.WatchRequest;
import io.harikube.etcd.proto.WatchResponse;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * {@code harikube train}: a server under some seconds of the load that an API server makes, on a
 * SQLite file of its own. The build runs it once, with {@code -XX:AOTCacheOutput}: what the JVM
 * then knows of the classes, and of what is called often, lets the server start in half the time
 * and be fast sooner.
 */
@Command(name = "train", hidden = true, description = "Let the JVM learn how the server works.")
final class TrainCommand implements Callable<Integer> {
  private static final int CLIENTS = 16;
  private static final int SECONDS = 8;
  private static final String PREFIX = "/registry/training.test/widgets/";

  private final Parts parts;

  TrainCommand(Parts parts) {
    this.parts = parts;
  }

  @Override
  public Integer call() throws Exception {
    Path folder = Files.createTempDirectory("harikube-training");
    ServerOptions options = new ServerOptions();
    new CommandLine(options)
        .parseArgs(
            "--listen-address=127.0.0.1:0",
            "--metrics-bind-address=0",
            "--endpoint=sqlite://" + folder.resolve("training.db"));
    Logging.configure(options.logFormat, options.debug);
    try (RunningServer server = new RunningServer()) {
      server.start(options, Map.of(), parts);
      ManagedChannel channel =
          NettyChannelBuilder.forAddress("localhost", server.port()).usePlaintext().build();
      new Load(channel).run();
    } finally {
      delete(folder);
    }
    return 0;
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }

  /** What clients ask for. */
  private static final class Load {
    private final ManagedChannel channel;
    private final long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);

    Load(ManagedChannel channel) {
      this.channel = channel;
    }

    void run() throws InterruptedException {
      List<Thread> clients = new ArrayList<>();
      List<Throwable> failures = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        int client = i;
        clients.add(
            Thread.ofPlatform()
                .uncaughtExceptionHandler((_, failure) -> failures.add(failure))
                .start(() -> work(client)));
      }
      for (Thread client : clients) {
        client.join();
      }
      channel.shutdownNow();
      if (!failures.isEmpty()) {
        throw new IllegalStateException("a client failed", failures.getFirst());
      }
    }

    private void work(int client) {
      Iterator<WatchResponse> watch = watch(client);
      for (int i = 0; System.nanoTime() < end; i++) {
        String name = client + "-" + i;
        ByteString key = ByteString.copyFromUtf8(PREFIX + "default/" + name);
        long created = write(key, 0, widget(name, 0));
        long updated = write(key, created, widget(name, 1));
        watch.next();
        range(RangeRequest.newBuilder().setKey(key).build());
        range(all().setLabelSelector("name=" + name).build());
        range(all().setLimit(50).build());
        if (i % 2 == 0) {
          delete(key, updated);
        }
        if (client == 0 && i % 50 == 0) {
          unary(
              "KV/Compact",
              CompactionRequest.newBuilder().setRevision(created).build(),
              CompactionResponse.getDefaultInstance());
        }
      }
    }

    private static RangeRequest.Builder all() {
      return RangeRequest.newBuilder()
          .setKey(ByteString.copyFromUtf8(PREFIX))
          .setRangeEnd(ByteString.copyFromUtf8(PREFIX.substring(0, PREFIX.length() - 1) + "0"));
    }

    private static ByteString widget(String name, int generation) {
      return ByteString.copyFromUtf8(
          """
        {"apiVersion":"training.test/v1","kind":"Widget","metadata":{"name":"%s","namespace":\
        "default","generation":%d,"labels":{"name":"%s","app":"training"}},"spec":{"text":"%s"}}
        """
              .formatted(name, generation, name, "lorem ipsum ".repeat(60)));
    }

    private Iterator<WatchResponse> watch(int client) {
      WatchRequest request =
          WatchRequest.newBuilder()
              .setCreateRequest(
                  WatchCreateRequest.newBuilder()
                      .setKey(ByteString.copyFromUtf8(PREFIX + "default/" + client + "-"))
                      .setRangeEnd(ByteString.copyFromUtf8(PREFIX + "default/" + client + "."))
                      .setPrevKv(true))
              .build();
      Iterator<WatchResponse> watch =
          ClientCalls.blockingServerStreamingCall(
              channel,
              method(
                  "Watch/Watch",
                  MethodType.SERVER_STREAMING,
                  request,
                  WatchResponse.getDefaultInstance()),
              CallOptions.DEFAULT,
              request);
      watch.next();
      return watch;
    }

    /** As an API server writes: if the key is as it was; answers the revision. */
    private long write(ByteString key, long before, ByteString value) {
      return txn(
          key,
          before,
          RequestOp.newBuilder()
              .setRequestPut(PutRequest.newBuilder().setKey(key).setValue(value))
              .build());
    }

    private void delete(ByteString key, long before) {
      txn(
          key,
          before,
          RequestOp.newBuilder()
              .setRequestDeleteRange(DeleteRangeRequest.newBuilder().setKey(key))
              .build());
    }

    private long txn(ByteString key, long before, RequestOp op) {
      TxnRequest request =
          TxnRequest.newBuilder()
              .addCompare(
                  Compare.newBuilder()
                      .setTarget(Compare.CompareTarget.MOD)
                      .setKey(key)
                      .setModRevision(before))
              .addSuccess(op)
              .addFailure(
                  RequestOp.newBuilder().setRequestRange(RangeRequest.newBuilder().setKey(key)))
              .build();
      return unary("KV/Txn", request, TxnResponse.getDefaultInstance()).getHeader().getRevision();
    }

    private void range(RangeRequest request) {
      unary("KV/Range", request, RangeResponse.getDefaultInstance());
    }

    private <Q extends Message, A extends Message> A unary(String name, Q request, A answer) {
      return ClientCalls.blockingUnaryCall(
          channel, method(name, MethodType.UNARY, request, answer), CallOptions.DEFAULT, request);
    }

    @SuppressWarnings("unchecked")
    private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> method(
        String name, MethodType type, Q request, A answer) {
      return MethodDescriptor.<Q, A>newBuilder()
          .setFullMethodName("etcdserverpb." + name)
          .setType(type)
          .setRequestMarshaller(ProtoUtils.marshaller((Q) request.getDefaultInstanceForType()))
          .setResponseMarshaller(ProtoUtils.marshaller((A) answer.getDefaultInstanceForType()))
          .build();
    }
  }
}
