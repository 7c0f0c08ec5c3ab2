package io.harikube.tls;

import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.ApplicationProtocolNegotiator;
import io.netty.handler.ssl.SslContext;
import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSessionContext;

/**
 * The context of a server whose clients have to present a certificate: one of its own for every
 * connection. The JDK resumes a session without asking the trust manager, for a day, by a ticket
 * that holds the client's certificate as it was; a context that has not seen the session before
 * cannot, and so every connection is judged by the authorities, and the time, of its own handshake.
 */
final class UnresumedContext extends SslContext {

  /** Makes a context. */
  @FunctionalInterface
  interface Maker {
    SslContext make() throws SSLException;
  }

  private final Maker maker;
  private final SslContext first;

  UnresumedContext(Maker maker) throws SSLException {
    this.maker = maker;
    this.first = maker.make();
  }

  private SslContext fresh() {
    try {
      return maker.make();
    } catch (SSLException e) {
      throw new IllegalStateException("what could be made before cannot be made now", e);
    }
  }

  @Override
  public SSLEngine newEngine(ByteBufAllocator allocator) {
    return fresh().newEngine(allocator);
  }

  @Override
  public SSLEngine newEngine(ByteBufAllocator allocator, String peerHost, int peerPort) {
    return fresh().newEngine(allocator, peerHost, peerPort);
  }

  @Override
  public boolean isClient() {
    return first.isClient();
  }

  @Override
  public List<String> cipherSuites() {
    return first.cipherSuites();
  }

  @Override
  @SuppressWarnings("deprecation") // there is no other method to implement
  public ApplicationProtocolNegotiator applicationProtocolNegotiator() {
    return first.applicationProtocolNegotiator();
  }

  @Override
  public SSLSessionContext sessionContext() {
    return first.sessionContext();
  }
}
