package io.harikube.tls;

import io.grpc.netty.GrpcSslContexts;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;

/**
 * The PEM files of one side of TLS connections. The contexts made of them look at the files again
 * in every handshake, so that a rotated certificate needs no restart.
 */
public final class PemFiles {
  private static final String[] PROTOCOLS = {"TLSv1.3", "TLSv1.2"};

  private final @Nullable ReloadedKeyManager keys;
  private final @Nullable ReloadedTrustManager authorities;

  private PemFiles(@Nullable ReloadedKeyManager keys, @Nullable ReloadedTrustManager authorities) {
    this.keys = keys;
    this.authorities = authorities;
  }

  /**
   * Reads the files; certificate and key are given together or not at all.
   *
   * @param certificate the certificate with those that lead to an authority, or null
   * @param key the private key of the certificate, or null
   * @param authority the authorities that the other side's certificate must lead to, or null
   */
  public static PemFiles read(
      @Nullable Path certificate, @Nullable Path key, @Nullable Path authority)
      throws TlsException {
    if ((certificate == null) != (key == null)) {
      throw new TlsException(
          certificate == null
              ? "There is a private key, but no certificate for it."
              : "There is a certificate, but no private key for it.");
    }
    ReloadedKeyManager keys = null;
    if (certificate != null && key != null) {
      Reloaded.Reader<Identity> reader = () -> Identity.read(certificate, key);
      keys = new ReloadedKeyManager(new Reloaded<>(List.of(certificate, key), reader));
    }
    ReloadedTrustManager authorities = null;
    if (authority != null) {
      Reloaded.Reader<X509ExtendedTrustManager> reader = () -> ReloadedTrustManager.read(authority);
      authorities = new ReloadedTrustManager(new Reloaded<>(List.of(authority), reader));
    }
    return new PemFiles(keys, authorities);
  }

  /** The certificate as it is now, with those that lead to an authority; empty for none. */
  List<X509Certificate> chain() {
    return keys == null ? List.of() : keys.chain();
  }

  /**
   * A context for gRPC: TLS 1.2 or newer; with authorities, clients have to present a certificate
   * of one of them on every connection.
   */
  public SslContext grpcServer() throws TlsException {
    if (keys == null) {
      throw new TlsException("A TLS server needs a certificate and its private key.");
    }
    SslContextBuilder builder = SslContextBuilder.forServer(keys).protocols(PROTOCOLS);
    if (authorities != null) {
      builder.trustManager(authorities).clientAuth(ClientAuth.REQUIRE);
    }
    GrpcSslContexts.configure(builder, SslProvider.JDK);
    try {
      return authorities == null ? builder.build() : new UnresumedContext(builder::build);
    } catch (SSLException e) {
      throw new TlsException("The TLS context cannot be made: " + e.getMessage() + ".", e);
    }
  }

  /**
   * A context of the JDK.
   *
   * @param trust what to trust if the files name no authority; null for the JDK's own authorities
   */
  public SSLContext context(@Nullable TrustManager trust) throws TlsException {
    TrustManager effective = authorities == null ? trust : authorities;
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(
          keys == null ? null : new KeyManager[] {keys},
          effective == null ? null : new TrustManager[] {effective},
          null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new TlsException("The TLS context cannot be made: " + e.getMessage() + ".", e);
    }
  }
}
