package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.EndpointParser.Extras;
import io.harikube.tls.Certificates;
import io.harikube.tls.Certificates.Encoding;
import io.harikube.tls.Certificates.Files3;
import io.harikube.tls.PemFiles;
import io.netty.pkitesting.CertificateBuilder.Algorithm;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSocket;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * pgjdbc's handshake with a server that speaks PostgreSQL's protocol up to the first message, which
 * it answers with the name in the client's certificate.
 */
class PostgresSocketFactoryTest {
  private static final int SSL_REQUEST = 80877103;

  private final Certificates authority = new Certificates();
  private ServerSocket listener;
  private Files3 own;

  @TempDir Path folder;

  @BeforeEach
  void serve() throws Exception {
    own = authority.write(folder, "server");
    SSLContext tls = PemFiles.read(own.certificate(), own.key(), own.authority()).context(null);
    listener = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(() -> accept(tls));
  }

  @AfterEach
  void stop() throws IOException {
    listener.close();
  }

  private void accept(SSLContext tls) {
    while (!listener.isClosed()) {
      try (Socket socket = listener.accept()) {
        greet(tls, socket);
      } catch (IOException e) {
        // The client did not like the server: that is what some tests are for.
      }
    }
  }

  private static void greet(SSLContext tls, Socket plain) throws IOException {
    DataInputStream request = new DataInputStream(plain.getInputStream());
    if (request.readInt() != 8 || request.readInt() != SSL_REQUEST) {
      throw new IOException("not encrypted");
    }
    plain.getOutputStream().write('S');
    try (SSLSocket socket =
        (SSLSocket) tls.getSocketFactory().createSocket(plain, "client", 0, true)) {
      socket.setUseClientMode(false);
      socket.setWantClientAuth(true);
      DataInputStream in = new DataInputStream(socket.getInputStream());
      in.skipNBytes(in.readInt() - 4);
      byte[] message =
          ("SFATAL\0C28000\0Mgreetings to " + name(socket) + "\0\0")
              .getBytes(StandardCharsets.UTF_8);
      DataOutputStream out = new DataOutputStream(socket.getOutputStream());
      out.write('E');
      out.writeInt(message.length + 4);
      out.write(message);
      out.flush();
    }
  }

  private static String name(SSLSocket socket) {
    try {
      X509Certificate peer = (X509Certificate) socket.getSession().getPeerCertificates()[0];
      return peer.getSubjectX500Principal().getName();
    } catch (SSLPeerUnverifiedException e) {
      return "nobody";
    }
  }

  /** What a connection to the server fails with. */
  private String connect(String host, String parameters, @Nullable Files3 client, boolean skip)
      throws OpenException {
    Extras extras =
        new Extras(
            client == null ? null : client.authority(),
            client == null ? null : client.certificate(),
            client == null ? null : client.key(),
            skip,
            null,
            Map.of());
    Endpoint.Postgres endpoint =
        (Endpoint.Postgres)
            EndpointParser.parse(
                "postgres://u:p@" + host + ":" + listener.getLocalPort() + "/db?" + parameters,
                extras);
    try {
      DriverManager.getConnection(endpoint.url(), endpoint.properties()).close();
      return "connected";
    } catch (SQLException e) {
      return String.valueOf(e.getMessage());
    }
  }

  @Test
  void presentsCertificatesWithKeysOfEveryEncoding() throws Exception {
    for (Encoding encoding : Encoding.values()) {
      for (Algorithm algorithm : new Algorithm[] {Algorithm.rsa2048, Algorithm.ecp256}) {
        Files3 client = authority.write(folder, algorithm, "client", encoding);
        assertThat(connect("localhost", "", client, false))
            .as("%s %s", encoding, algorithm)
            .contains("greetings to CN=client");
      }
    }
  }

  @Test
  void verifiesWhomItTalksTo() throws Exception {
    Files3 other =
        new Certificates().write(Files.createDirectory(folder.resolve("other")), "other");
    String right = "sslrootcert=" + own.authority();
    String wrong = "sslrootcert=" + other.authority();
    assertThat(connect("localhost", right, null, false)).contains("greetings to nobody");
    assertThat(connect("localhost", "sslmode=require", null, false)).contains("greetings");
    assertThat(connect("localhost", wrong, null, false)).doesNotContain("greetings");
    assertThat(connect("localhost", wrong + "&sslmode=verify-ca", null, false))
        .doesNotContain("greetings");
    assertThat(connect("localhost", "sslmode=verify-full&sslrootcert=system", null, false))
        .doesNotContain("greetings");
    assertThat(connect("localhost", wrong, null, true)).contains("greetings");
  }
}
