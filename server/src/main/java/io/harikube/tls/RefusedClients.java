package io.harikube.tls;

import io.harikube.log.RareLine;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslHandler;
import java.nio.channels.ClosedChannelException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Logs why a TLS client is refused: gRPC says so to nobody. One object is for all connections of a
 * server, and stands in front of all that gRPC puts into their pipelines.
 */
@Sharable
public final class RefusedClients extends ChannelInboundHandlerAdapter {

  private enum Kind {
    PLAIN_TEXT("speaks no TLS"),
    NO_CERTIFICATE("presents no certificate"),
    EXPIRED("presents a certificate that has expired"),
    NOT_YET_VALID("presents a certificate that is not valid yet"),
    UNTRUSTED("presents a certificate of no authority that is trusted here"),
    DISTRUSTS("does not accept the certificate of this server"),
    OTHER("cannot agree on TLS with this server");

    final String words;

    Kind(String words) {
      this.words = words;
    }
  }

  private final Map<Kind, RareLine> lines = new EnumMap<>(Kind.class);

  public RefusedClients() {
    for (Kind kind : Kind.values()) {
      lines.put(
          kind,
          new RareLine(
              LoggerFactory.getLogger(RefusedClients.class),
              Level.WARN,
              Duration.ofMinutes(1),
              "Refused a client at {}, which " + kind.words + "{}."));
    }
  }

  /** What comes first comes here before it comes to TLS. */
  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    SslHandler tls = context.pipeline().get(SslHandler.class);
    if (tls != null) {
      var _ = tls.handshakeFuture().addListener(handshake -> refused(context, handshake.cause()));
    }
    context.pipeline().remove(this);
    context.fireChannelRead(message);
  }

  private void refused(ChannelHandlerContext context, @Nullable Throwable cause) {
    // A client that only looks whether the port is open has done nothing wrong.
    if (cause == null || cause instanceof ClosedChannelException) {
      return;
    }
    Kind kind = kind(cause);
    RareLine line = lines.get(kind);
    if (line != null) {
      String detail = kind == Kind.OTHER ? ": " + firstLine(cause) : "";
      line.write(context.channel().remoteAddress(), detail);
    }
  }

  private static Kind kind(Throwable failure) {
    String alert = "";
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      switch (cause) {
        case NotSslRecordException _ -> {
          return Kind.PLAIN_TEXT;
        }
        case CertificateExpiredException _ -> {
          return Kind.EXPIRED;
        }
        case CertificateNotYetValidException _ -> {
          return Kind.NOT_YET_VALID;
        }
        case SSLException _ -> alert = String.valueOf(cause.getMessage());
        default -> {}
      }
    }
    if (alert.contains("Empty client certificate chain")) {
      return Kind.NO_CERTIFICATE;
    }
    if (alert.matches("(?s).*Received fatal alert: .*(certificate|unknown_ca).*")) {
      return Kind.DISTRUSTS;
    }
    return alert.contains("PKIX") || alert.contains("certificate_unknown")
        ? Kind.UNTRUSTED
        : Kind.OTHER;
  }

  private static String firstLine(Throwable cause) {
    return String.valueOf(cause.getMessage()).replaceAll("(?s)\\R.*", "");
  }
}
