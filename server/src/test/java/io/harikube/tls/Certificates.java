package io.harikube.tls;

import io.netty.pkitesting.CertificateBuilder;
import io.netty.pkitesting.CertificateBuilder.Algorithm;
import io.netty.pkitesting.X509Bundle;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;

/** Makes authorities and certificates for tests, and writes them as PEM files. */
public final class Certificates {

  /** How a private key is written. */
  public enum Encoding {
    PKCS8,
    /** PKCS#1 or SEC1, as the key's algorithm has it. */
    TRADITIONAL
  }

  /** The files of one certificate. */
  public record Files3(Path certificate, Path key, Path authority) {}

  private final X509Bundle authority;

  public Certificates() {
    try {
      authority =
          new CertificateBuilder()
              .subject("CN=authority")
              .setIsCertificateAuthority(true)
              .ecp256()
              .buildSelfSigned();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** A certificate of this authority for localhost, as server and as client. */
  public X509Bundle issue(Algorithm algorithm, String name) {
    Instant now = Instant.now();
    return issue(algorithm, name, now.minus(Duration.ofDays(1)), now.plus(Duration.ofDays(365)));
  }

  private X509Bundle issue(Algorithm algorithm, String name, Instant from, Instant until) {
    try {
      return new CertificateBuilder()
          .subject("CN=" + name)
          .notBefore(from)
          .notAfter(until)
          .addSanDnsName("localhost")
          .addSanIpAddress("127.0.0.1")
          .algorithm(algorithm)
          .addExtendedKeyUsageServerAuth()
          .addExtendedKeyUsageClientAuth()
          .buildIssuedBy(authority);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** Issues a certificate and writes it, its key and the authority into {@code folder}. */
  public Files3 write(Path folder, Algorithm algorithm, String name, Encoding encoding)
      throws IOException {
    return write(folder, issue(algorithm, name), name, encoding);
  }

  private Files3 write(Path folder, X509Bundle bundle, String name, Encoding encoding)
      throws IOException {
    Path certificate = folder.resolve(name + ".crt");
    Path key = folder.resolve(name + ".key");
    Path ca = folder.resolve("ca.crt");
    Files.writeString(certificate, "A text before it\n" + bundle.getCertificatePathPEM());
    Files.writeString(key, keyPem(bundle, encoding));
    Files.writeString(ca, authority.getCertificatePEM());
    return new Files3(certificate, key, ca);
  }

  /** One that is valid from the one time to the other. */
  public Files3 write(Path folder, String name, Instant from, Instant until) throws IOException {
    return write(folder, issue(Algorithm.ecp256, name, from, until), name, Encoding.PKCS8);
  }

  public Files3 write(Path folder, String name) throws IOException {
    return write(folder, Algorithm.ecp256, name, Encoding.PKCS8);
  }

  static String keyPem(X509Bundle bundle, Encoding encoding) {
    byte[] pkcs8 = bundle.getKeyPair().getPrivate().getEncoded();
    if (encoding == Encoding.PKCS8) {
      return pem("PRIVATE KEY", pkcs8);
    }
    return switch (bundle.getKeyPair().getPrivate().getAlgorithm()) {
      case "RSA" -> pem("RSA PRIVATE KEY", inner(pkcs8));
      case "EC" ->
          "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
              + pem("EC PRIVATE KEY", sec1(inner(pkcs8)));
      default -> throw new IllegalArgumentException("no traditional encoding");
    };
  }

  /** The octet string of a PKCS#8 key: the last element that the sequence holds. */
  private static byte[] inner(byte[] pkcs8) {
    for (int at = 0; at < pkcs8.length; at++) {
      int length = pkcs8[at] == 4 && pkcs8[at + 1] == (byte) 0x82 ? 4 : 2;
      int rest = pkcs8.length - at - length;
      boolean fits =
          length == 4
              ? ((pkcs8[at + 2] & 0xff) << 8 | (pkcs8[at + 3] & 0xff)) == rest
              : (pkcs8[at + 1] & 0xff) == rest;
      if (pkcs8[at] == 4 && fits && pkcs8[at + length] == 0x30) {
        return Arrays.copyOfRange(pkcs8, at + length, pkcs8.length);
      }
    }
    throw new IllegalArgumentException("no PKCS#8 key");
  }

  /** Adds the name of the curve prime256v1, which the JDK leaves out and OpenSSL writes. */
  private static byte[] sec1(byte[] key) {
    byte[] curve = {
      (byte) 0xa0, 0x0a, 0x06, 0x08, 0x2a, (byte) 0x86, 0x48, (byte) 0xce, 0x3d, 0x03, 0x01, 0x07
    };
    byte[] secret = Arrays.copyOfRange(key, 2, 2 + 3 + 2 + 32);
    byte[] out = new byte[2 + secret.length + curve.length];
    out[0] = 0x30;
    out[1] = (byte) (out.length - 2);
    System.arraycopy(secret, 0, out, 2, secret.length);
    System.arraycopy(curve, 0, out, 2 + secret.length, curve.length);
    return out;
  }

  static String pem(String label, byte[] der) {
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n"
        .formatted(
            label,
            Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII)).encodeToString(der),
            label);
  }
}
