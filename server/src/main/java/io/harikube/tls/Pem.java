package io.harikube.tls;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads PEM files. Certificates: one or many, with any text between them. Private keys: PKCS#8,
 * PKCS#1 (RSA) and SEC1 (EC), not encrypted.
 */
final class Pem {
  private static final Pattern BLOCK =
      Pattern.compile("-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \\1-----", Pattern.DOTALL);
  private static final List<String> ALGORITHMS = List.of("RSA", "EC", "EdDSA", "RSASSA-PSS");

  private record Block(String label, String body) {}

  private Pem() {}

  /** All certificates of a file, at least one, in the order of the file. */
  static List<X509Certificate> certificates(Path file) throws TlsException {
    List<X509Certificate> certificates = new ArrayList<>();
    for (Block block : blocks(file)) {
      if (block.label.equals("CERTIFICATE")) {
        try {
          CertificateFactory factory = CertificateFactory.getInstance("X.509");
          certificates.add(
              (X509Certificate)
                  factory.generateCertificate(new ByteArrayInputStream(decode(block))));
        } catch (CertificateException | IllegalArgumentException e) {
          throw new TlsException("The certificate file " + file + " is damaged.", e);
        }
      }
    }
    if (certificates.isEmpty()) {
      throw new TlsException("The file " + file + " holds no PEM certificate.");
    }
    return certificates;
  }

  /** The first private key of a file. */
  static PrivateKey privateKey(Path file) throws TlsException {
    for (Block block : blocks(file)) {
      if (block.label.endsWith("PRIVATE KEY")) {
        if (block.label.startsWith("ENCRYPTED") || block.body.contains("ENCRYPTED")) {
          throw new TlsException(
              "The private key in " + file + " is encrypted; only unencrypted keys can be used.");
        }
        try {
          return key(Pkcs8.wrap(block.label, decode(block)));
        } catch (GeneralSecurityException | IllegalArgumentException e) {
          throw new TlsException("The private key in " + file + " cannot be understood.", e);
        }
      }
    }
    throw new TlsException("The file " + file + " holds no PEM private key.");
  }

  private static PrivateKey key(byte[] pkcs8) throws GeneralSecurityException {
    InvalidKeySpecException refused = new InvalidKeySpecException("no algorithm fits");
    for (String algorithm : ALGORITHMS) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
      } catch (InvalidKeySpecException e) {
        refused.addSuppressed(e);
      }
    }
    throw refused;
  }

  private static List<Block> blocks(Path file) throws TlsException {
    String text;
    try {
      text = Files.readString(file, StandardCharsets.ISO_8859_1);
    } catch (NoSuchFileException e) {
      throw new TlsException("The file " + file + " does not exist.", e);
    } catch (IOException e) {
      throw new TlsException("The file " + file + " cannot be read.", e);
    }
    List<Block> blocks = new ArrayList<>();
    Matcher matcher = BLOCK.matcher(text);
    while (matcher.find()) {
      blocks.add(new Block(matcher.group(1), matcher.group(2)));
    }
    return blocks;
  }

  private static byte[] decode(Block block) {
    return Base64.getMimeDecoder().decode(block.body);
  }
}
