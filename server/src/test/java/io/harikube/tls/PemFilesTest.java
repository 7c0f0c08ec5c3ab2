package io.harikube.tls;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.harikube.tls.Certificates.Encoding;
import io.harikube.tls.Certificates.Files3;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.pkitesting.CertificateBuilder.Algorithm;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.cert.X509Certificate;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Real handshakes with a real gRPC server. */
class PemFilesTest {
  private static final Certificates CERTIFICATES = new Certificates();

  @TempDir Path folder;
  private @Nullable Server server;

  private int serve(PemFiles files) throws Exception {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .sslContext(files.grpcServer())
            .addService(new HealthStatusManager().getHealthService())
            .build()
            .start();
    return server.getPort();
  }

  @AfterEach
  void stop() {
    if (server != null) {
      server.shutdownNow();
    }
  }

  private static ServingStatus call(int port, Path authority, @Nullable Files3 client)
      throws Exception {
    SslContextBuilder tls = GrpcSslContexts.forClient().trustManager(authority.toFile());
    if (client != null) {
      tls.keyManager(client.certificate().toFile(), client.key().toFile());
    }
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("localhost", port).sslContext(tls.build()).build();
    try {
      return HealthGrpc.newBlockingStub(channel)
          .withDeadlineAfter(20, TimeUnit.SECONDS)
          .check(HealthCheckRequest.getDefaultInstance())
          .getStatus();
    } finally {
      channel.shutdownNow();
    }
  }

  /** The name in the certificate that the server shows to a new connection. */
  private static String shown(int port, PemFiles client) throws Exception {
    try (SSLSocket socket =
        (SSLSocket)
            client
                .context(null)
                .getSocketFactory()
                .createSocket(InetAddress.getLoopbackAddress(), port)) {
      socket.startHandshake();
      X509Certificate certificate = (X509Certificate) socket.getSession().getPeerCertificates()[0];
      return certificate.getSubjectX500Principal().getName();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "rsa2048, PKCS8",
    "rsa2048, TRADITIONAL",
    "ecp256, PKCS8",
    "ecp256, TRADITIONAL",
    "ecp384, PKCS8",
    "ed25519, PKCS8"
  })
  void everyKindOfKeyServes(Algorithm algorithm, Encoding encoding) throws Exception {
    Files3 files = CERTIFICATES.write(folder, algorithm, "server", encoding);
    int port = serve(PemFiles.read(files.certificate(), files.key(), null));
    assertThat(shown(port, PemFiles.read(null, null, files.authority()))).isEqualTo("CN=server");
    if (algorithm != Algorithm.ed25519) {
      assertThat(call(port, files.authority(), null)).isEqualTo(ServingStatus.SERVING);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void bothProtocols(String protocol) throws Exception {
    Files3 files = CERTIFICATES.write(folder, Algorithm.rsa2048, "server", Encoding.PKCS8);
    int port = serve(PemFiles.read(files.certificate(), files.key(), null));
    PemFiles client = PemFiles.read(null, null, files.authority());
    try (SSLSocket socket =
        (SSLSocket)
            client
                .context(null)
                .getSocketFactory()
                .createSocket(InetAddress.getLoopbackAddress(), port)) {
      socket.setEnabledProtocols(new String[] {protocol});
      socket.startHandshake();
      assertThat(socket.getSession().getProtocol()).isEqualTo(protocol);
    }
  }

  @Test
  void withAnAuthorityClientsNeedACertificateOfIt() throws Exception {
    Files3 files = CERTIFICATES.write(folder, "server");
    Files3 client = CERTIFICATES.write(folder, "client");
    Files3 stranger =
        new Certificates().write(Files.createDirectory(folder.resolve("other")), "stranger");
    int port = serve(PemFiles.read(files.certificate(), files.key(), files.authority()));

    assertThat(call(port, files.authority(), client)).isEqualTo(ServingStatus.SERVING);
    assertThatThrownBy(() -> call(port, files.authority(), null))
        .isInstanceOf(StatusRuntimeException.class);
    assertThatThrownBy(() -> call(port, files.authority(), stranger))
        .isInstanceOf(StatusRuntimeException.class);
  }

  @Test
  void aRotatedCertificateNeedsNoRestart() throws Exception {
    Files3 files = CERTIFICATES.write(folder, "server");
    int port = serve(PemFiles.read(files.certificate(), files.key(), null));
    PemFiles client = PemFiles.read(null, null, files.authority());
    assertThat(shown(port, client)).isEqualTo("CN=server");

    Path fresh = Files.createDirectory(folder.resolve("fresh"));
    Files3 next = CERTIFICATES.write(fresh, Algorithm.rsa2048, "next", Encoding.PKCS8);
    Files.copy(next.certificate(), files.certificate(), REPLACE);
    touch(files.certificate());
    assertThat(shown(port, client))
        .as("the key that belongs to the new certificate is not there yet")
        .isEqualTo("CN=server");

    Files.copy(next.key(), files.key(), REPLACE);
    touch(files.key());
    assertThat(shown(port, client)).isEqualTo("CN=next");
  }

  @Test
  void aRotatedAuthorityNeedsNoRestart() throws Exception {
    Files3 files = CERTIFICATES.write(folder, "server");
    Certificates others = new Certificates();
    Files3 stranger = others.write(Files.createDirectory(folder.resolve("other")), "stranger");
    Path trusted = Files.copy(files.authority(), folder.resolve("trusted.crt"));
    int port = serve(PemFiles.read(files.certificate(), files.key(), trusted));
    assertThatThrownBy(() -> call(port, files.authority(), stranger))
        .isInstanceOf(StatusRuntimeException.class);

    Files.copy(stranger.authority(), trusted, REPLACE);
    touch(trusted);
    assertThat(call(port, files.authority(), stranger)).isEqualTo(ServingStatus.SERVING);
  }

  @Test
  void whatCannotBeUsedGetsOneSentence() throws Exception {
    Files3 files = CERTIFICATES.write(folder, "server");
    Files3 other = CERTIFICATES.write(folder, "other");
    Path none = folder.resolve("none");
    Path empty = Files.writeString(folder.resolve("empty"), "");
    Path encrypted =
        Files.writeString(
            folder.resolve("encrypted"),
            Certificates.pem("ENCRYPTED PRIVATE KEY", new byte[] {1, 2}));
    Path legacy =
        Files.writeString(
            folder.resolve("legacy"),
            """
            -----BEGIN RSA PRIVATE KEY-----
            Proc-Type: 4,ENCRYPTED
            DEK-Info: AES-128-CBC,00

            AAAA
            -----END RSA PRIVATE KEY-----
            """);
    Path cut =
        Files.writeString(
            folder.resolve("cut"), Certificates.pem("EC PRIVATE KEY", new byte[] {0x30, 0x10, 2}));
    Path damaged =
        Files.writeString(
            folder.resolve("damaged"), Certificates.pem("CERTIFICATE", new byte[] {0x30, 1}));

    refused(none, files.key(), "The file " + none + " does not exist.");
    refused(folder, files.key(), "The file " + folder + " cannot be read.");
    refused(empty, files.key(), "The file " + empty + " holds no PEM certificate.");
    refused(damaged, files.key(), "The certificate file " + damaged + " is damaged.");
    refused(files.certificate(), empty, "The file " + empty + " holds no PEM private key.");
    refused(
        files.certificate(),
        encrypted,
        "The private key in " + encrypted + " is encrypted; only unencrypted keys can be used.");
    refused(
        files.certificate(),
        legacy,
        "The private key in " + legacy + " is encrypted; only unencrypted keys can be used.");
    refused(files.certificate(), cut, "The private key in " + cut + " cannot be understood.");
    refused(
        files.certificate(),
        other.key(),
        "The certificate in "
            + files.certificate()
            + " does not belong to the private key in "
            + other.key()
            + ".");
    refused(null, files.key(), "There is a private key, but no certificate for it.");
    refused(files.certificate(), null, "There is a certificate, but no private key for it.");
  }

  private static void refused(@Nullable Path certificate, @Nullable Path key, String sentence) {
    assertThatThrownBy(() -> PemFiles.read(certificate, key, null))
        .isInstanceOf(TlsException.class)
        .hasMessage(sentence);
  }

  private static final java.nio.file.StandardCopyOption REPLACE =
      java.nio.file.StandardCopyOption.REPLACE_EXISTING;

  /** Moves the time on, whatever the resolution of the file system's clock. */
  private static void touch(Path file) throws IOException {
    FileTime now = Files.getLastModifiedTime(file);
    Files.setLastModifiedTime(requireNonNull(file), FileTime.fromMillis(now.toMillis() + 1000));
  }
}
