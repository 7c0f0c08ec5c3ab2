package io.harikube.e2e;

import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.CertificateBuilder.ExtendedKeyUsage;
import io.netty.pkitesting.X509Bundle;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;

/**
 * The certificates of a cluster, in a folder: NAME.crt and NAME.key, and the authority's ca.crt and
 * ca.key.
 */
final class Authority {
  private static final Set<ExtendedKeyUsage> BOTH_SIDES =
      Set.of(ExtendedKeyUsage.PKIX_KP_SERVER_AUTH, ExtendedKeyUsage.PKIX_KP_CLIENT_AUTH);

  private final Path folder;
  private final X509Bundle authority;

  /** Makes an authority, and the key that service accounts' tokens are signed with. */
  Authority(Path folder) {
    this.folder = folder;
    try {
      Files.createDirectories(
          folder,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      authority =
          new CertificateBuilder()
              .subject("CN=harikube-e2e")
              .setKeyUsage(
                  true,
                  CertificateBuilder.KeyUsage.keyCertSign,
                  CertificateBuilder.KeyUsage.digitalSignature)
              .setIsCertificateAuthority(true)
              .buildSelfSigned();
      write("ca", authority);
      issue("service-account", "CN=service-account", List.of(), List.of());
    } catch (Exception e) {
      throw new IllegalStateException("no certificates: " + e.getMessage(), e);
    }
  }

  /** Issues a certificate for both sides of a connection. */
  void issue(String name, String subject, List<String> hosts, List<String> addresses) {
    try {
      CertificateBuilder builder = new CertificateBuilder().subject(subject);
      BOTH_SIDES.forEach(builder::addExtendedKeyUsage);
      hosts.forEach(builder::addSanDnsName);
      addresses.forEach(builder::addSanIpAddress);
      write(name, builder.buildIssuedBy(authority));
    } catch (Exception e) {
      throw new IllegalStateException("no certificate " + name + ": " + e.getMessage(), e);
    }
  }

  private void write(String name, X509Bundle bundle) throws IOException {
    Files.writeString(folder.resolve(name + ".crt"), bundle.getCertificatePathPEM());
    Files.writeString(folder.resolve(name + ".key"), bundle.getPrivateKeyPEM());
  }

  String certificate(String name) {
    return folder.resolve(name + ".crt").toString();
  }

  String key(String name) {
    return folder.resolve(name + ".key").toString();
  }

  /** Writes a kubeconfig for the holder of a certificate. */
  Path kubeconfig(String name, String server) {
    Path file = folder.resolve(name + ".kubeconfig");
    try {
      return Files.writeString(
          file,
          """
          apiVersion: v1
          kind: Config
          clusters:
          - name: host
            cluster: {server: "%s", certificate-authority: %s}
          users:
          - name: %s
            user: {client-certificate: %s, client-key: %s}
          contexts:
          - name: host
            context: {cluster: host, user: %s}
          current-context: host
          """
              .formatted(server, certificate("ca"), name, certificate(name), key(name), name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
