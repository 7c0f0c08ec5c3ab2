package io.harikube.ops;

import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServerStreamTracer;
import io.grpc.Status;
import io.prometheus.metrics.core.datapoints.CounterDataPoint;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Counts calls, messages and bytes, as go-grpc-prometheus does in etcd. The series of a method are
 * looked up once; a call costs one small object, a message two additions. A method that the server
 * does not have makes no series, so that clients cannot make the list grow.
 */
public final class GrpcMetrics extends ServerStreamTracer.Factory {
  private final Metrics metrics;
  private final CounterDataPoint received;
  private final CounterDataPoint sent;
  private final Map<String, Method> methods = new ConcurrentHashMap<>();

  public GrpcMetrics(Metrics metrics) {
    this.metrics = metrics;
    this.received = metrics.counter(Metric.RECEIVED_BYTES);
    this.sent = metrics.counter(Metric.SENT_BYTES);
  }

  /** The series of one method. */
  private static final class Method {
    final CounterDataPoint started;
    final CounterDataPoint received;
    final CounterDataPoint sent;
    final CounterDataPoint[] handled = new CounterDataPoint[Status.Code.values().length];

    Method(Metrics metrics, MethodDescriptor<?, ?> method) {
      String[] labels = {
        type(method.getType()),
        String.valueOf(method.getServiceName()),
        String.valueOf(method.getBareMethodName())
      };
      started = metrics.counter(Metric.GRPC_STARTED, labels);
      received = metrics.counter(Metric.GRPC_RECEIVED, labels);
      sent = metrics.counter(Metric.GRPC_SENT, labels);
      for (Status.Code code : Status.Code.values()) {
        handled[code.value()] =
            metrics.counter(Metric.GRPC_HANDLED, labels[0], labels[1], labels[2], name(code));
      }
    }
  }

  /** Makes the series of all methods, at zero: a rate of what never was is zero, not nothing. */
  public void register(List<ServerServiceDefinition> services) {
    for (ServerServiceDefinition service : services) {
      service.getMethods().forEach(method -> series(method.getMethodDescriptor()));
    }
  }

  private Method series(MethodDescriptor<?, ?> method) {
    Method known = methods.get(method.getFullMethodName());
    return known != null
        ? known
        : methods.computeIfAbsent(method.getFullMethodName(), name -> new Method(metrics, method));
  }

  @Override
  public ServerStreamTracer newServerStreamTracer(String fullMethodName, Metadata headers) {
    return new Tracer();
  }

  /** One call. gRPC calls it from several threads, but not before the call has begun. */
  private final class Tracer extends ServerStreamTracer {
    private volatile @Nullable Method method;

    @Override
    public void serverCallStarted(ServerCallInfo<?, ?> call) {
      Method series = series(call.getMethodDescriptor());
      method = series;
      series.started.inc();
    }

    @Override
    public void inboundMessage(int number) {
      Method series = method;
      if (series != null) {
        series.received.inc();
      }
    }

    @Override
    public void outboundMessage(int number) {
      Method series = method;
      if (series != null) {
        series.sent.inc();
      }
    }

    @Override
    public void inboundUncompressedSize(long bytes) {
      received.inc(bytes);
    }

    @Override
    public void outboundUncompressedSize(long bytes) {
      sent.inc(bytes);
    }

    @Override
    public void streamClosed(Status status) {
      Method series = method;
      if (series != null) {
        series.handled[status.getCode().value()].inc();
      }
    }
  }

  private static String type(MethodType type) {
    return switch (type) {
      case CLIENT_STREAMING -> "client_stream";
      case SERVER_STREAMING -> "server_stream";
      case BIDI_STREAMING -> "bidi_stream";
      case UNARY, UNKNOWN -> "unary";
    };
  }

  /** The code as Go writes it: InvalidArgument, OK. */
  static String name(Status.Code code) {
    if (code == Status.Code.OK) {
      return "OK";
    }
    if (code == Status.Code.CANCELLED) {
      return "Canceled";
    }
    StringBuilder name = new StringBuilder();
    for (String word : code.name().split("_", -1)) {
      name.append(word.charAt(0)).append(word.substring(1).toLowerCase(Locale.ROOT));
    }
    return name.toString();
  }
}
