package io.harikube.tls;

import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * A private key with its certificate and those that lead from it to an authority.
 *
 * @param chain the certificate of the key first
 */
record Identity(PrivateKey key, List<X509Certificate> chain) {

  /** Reads both files and makes sure that they belong together. */
  static Identity read(Path certificateFile, Path keyFile) throws TlsException {
    List<X509Certificate> chain = Pem.certificates(certificateFile);
    PrivateKey key = Pem.privateKey(keyFile);
    if (!fits(key, chain.getFirst())) {
      throw new TlsException(
          "The certificate in "
              + certificateFile
              + " does not belong to the private key in "
              + keyFile
              + ".");
    }
    return new Identity(key, chain);
  }

  private static boolean fits(PrivateKey key, X509Certificate certificate) {
    String algorithm =
        switch (key.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> key.getAlgorithm();
        };
    byte[] message = {1, 2, 3};
    try {
      Signature signature = Signature.getInstance(algorithm);
      signature.initSign(key);
      signature.update(message);
      byte[] signed = signature.sign();
      signature.initVerify(certificate.getPublicKey());
      signature.update(message);
      return signature.verify(signed);
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  /** Not the key. */
  @Override
  public String toString() {
    return chain.getFirst().getSubjectX500Principal().getName();
  }
}
