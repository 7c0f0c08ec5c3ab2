package io.harikube.etcd;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.harikube.ops.StubStore;
import io.harikube.testing.Await;
import io.harikube.tls.Certificates;
import io.harikube.tls.Certificates.Files3;
import io.harikube.tls.PemFiles;
import io.harikube.tls.RefusedClients;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

/** Who is let in by TLS, and who is told what of those who are not. Real handshakes. */
class TlsTest {
  private static final byte[] PREFACE =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0".getBytes(US_ASCII);

  private final Certificates authority = new Certificates();
  private final ListAppender<ILoggingEvent> log = new ListAppender<>();
  private @Nullable EtcdServer server;
  private int port;

  @TempDir Path folder;

  @BeforeEach
  void listen() {
    log.start();
    ((Logger) LoggerFactory.getLogger(RefusedClients.class)).addAppender(log);
  }

  @AfterEach
  void stop() {
    ((Logger) LoggerFactory.getLogger(RefusedClients.class)).detachAppender(log);
    if (server != null) {
      server.close();
    }
  }

  private void serve(Files3 files, Path trusted) throws Exception {
    EtcdServer built =
        EtcdServer.builder(new StubStore(), TestServer.NO_WATCHES)
            .listen("127.0.0.1:0")
            .tls(PemFiles.read(files.certificate(), files.key(), trusted).grpcServer())
            .grace(Duration.ofMillis(1))
            .build();
    server = built;
    built.start();
    port = built.port();
  }

  /** Whether the server talks HTTP/2 to a client, which resumes a session if it is let. */
  private boolean letsIn(SSLContext client, String protocol) throws IOException {
    // The host by which the client's sessions are kept.
    try (SSLSocket socket = (SSLSocket) client.getSocketFactory().createSocket("localhost", port)) {
      socket.setSoTimeout(30_000);
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(new String[] {protocol});
      parameters.setApplicationProtocols(new String[] {"h2"});
      socket.setSSLParameters(parameters);
      socket.getOutputStream().write(PREFACE);
      return socket.getInputStream().read() >= 0;
    } catch (SSLException | SocketException e) {
      return false;
    }
  }

  private static SSLContext client(@Nullable Files3 certificate, Path authority) throws Exception {
    return certificate == null
        ? PemFiles.read(null, null, authority).context(null)
        : PemFiles.read(certificate.certificate(), certificate.key(), authority).context(null);
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void aClientOfAnAuthorityThatWasReplacedIsNotLetInAgain(String protocol) throws Exception {
    Files3 files = authority.write(folder, "server");
    Path trusted = Files.copy(files.authority(), folder.resolve("trusted.crt"));
    serve(files, trusted);
    SSLContext client = client(authority.write(folder, "client"), files.authority());
    assertThat(letsIn(client, protocol)).isTrue();
    assertThat(letsIn(client, protocol)).isTrue();

    Files3 other =
        new Certificates().write(Files.createDirectory(folder.resolve("other")), "other");
    Files.copy(other.authority(), trusted, StandardCopyOption.REPLACE_EXISTING);
    Files.setLastModifiedTime(trusted, FileTime.from(Instant.now().plusSeconds(10)));
    assertThat(letsIn(client, protocol)).isFalse();
    assertThat(letsIn(client(other, files.authority()), protocol)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"TLSv1.2", "TLSv1.3"})
  void aClientWhoseCertificateHasExpiredIsNotLetInAgain(String protocol) throws Exception {
    Files3 files = authority.write(folder, "server");
    serve(files, files.authority());
    Instant end = Instant.now().plusSeconds(4);
    Files3 certificate = authority.write(folder, "brief", end.minusSeconds(3600), end);
    SSLContext client = client(certificate, files.authority());
    assertThat(letsIn(client, protocol)).isTrue();
    Await.until("the end of the certificate", () -> Instant.now().isAfter(end.plusSeconds(1)));
    assertThat(letsIn(client, protocol)).isFalse();
  }

  @Test
  void whoIsRefusedIsInTheLogOnceForEachKind() throws Exception {
    Files3 files = authority.write(folder, "server");
    serve(files, files.authority());
    Instant now = Instant.now();
    Files3 stranger =
        new Certificates().write(Files.createDirectory(folder.resolve("other")), "stranger");
    List<SSLContext> refused =
        new ArrayList<>(
            List.of(
                client(null, files.authority()),
                client(stranger, files.authority()),
                client(
                    authority.write(folder, "old", now.minusSeconds(99), now.minusSeconds(9)),
                    files.authority()),
                client(
                    authority.write(folder, "early", now.plusSeconds(3600), now.plusSeconds(7200)),
                    files.authority()),
                client(null, stranger.authority())));
    for (int i = 0; i < 3; i++) {
      for (SSLContext client : refused) {
        assertThat(letsIn(client, "TLSv1.3")).isFalse();
      }
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
        socket.setSoTimeout(30_000);
        socket.getOutputStream().write(PREFACE);
        assertThat(socket.getInputStream().read()).isEqualTo(-1);
      }
      try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
        assertThat(socket.isConnected()).as("that the port is open is all it wants").isTrue();
      }
    }
    assertThat(letsIn(client(authority.write(folder, "ok"), files.authority()), "TLSv1.3"))
        .isTrue();
    Await.until("six lines", () -> log.list.size() >= 6);
    assertThat(log.list)
        .extracting(
            line -> line.getFormattedMessage().replaceAll("/127\\.0\\.0\\.1:\\d+", "ADDRESS"))
        .containsExactlyInAnyOrder(
            "Refused a client at ADDRESS, which presents no certificate.",
            "Refused a client at ADDRESS, which presents a certificate of no authority that is"
                + " trusted here.",
            "Refused a client at ADDRESS, which presents a certificate that has expired.",
            "Refused a client at ADDRESS, which presents a certificate that is not valid yet.",
            "Refused a client at ADDRESS, which does not accept the certificate of this server.",
            "Refused a client at ADDRESS, which speaks no TLS.");
  }
}
