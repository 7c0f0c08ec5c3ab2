package io.harikube.tls;

import java.io.ByteArrayOutputStream;
import java.security.spec.InvalidKeySpecException;
import java.util.Arrays;

/**
 * Puts the older encodings of private keys into PKCS#8, the only one that the JDK reads. Source:
 * RFC 5208 (PKCS#8), RFC 8017 (PKCS#1), RFC 5915 (SEC1).
 */
final class Pkcs8 {
  private static final int SEQUENCE = 0x30;
  private static final int OCTET_STRING = 0x04;
  private static final int EC_PARAMETERS = 0xa0;
  private static final byte[] VERSION_0 = {0x02, 0x01, 0x00};

  /** AlgorithmIdentifier of rsaEncryption: 1.2.840.113549.1.1.1 with NULL. */
  private static final byte[] RSA = {
    0x30,
    0x0d,
    0x06,
    0x09,
    0x2a,
    (byte) 0x86,
    0x48,
    (byte) 0x86,
    (byte) 0xf7,
    0x0d,
    0x01,
    0x01,
    0x01,
    0x05,
    0x00
  };

  /** The identifier of id-ecPublicKey: 1.2.840.10045.2.1. */
  private static final byte[] EC = {
    0x06, 0x07, 0x2a, (byte) 0x86, 0x48, (byte) 0xce, 0x3d, 0x02, 0x01
  };

  private Pkcs8() {}

  /**
   * @param label what the PEM block calls the key
   * @param der the content of the block
   */
  static byte[] wrap(String label, byte[] der) throws InvalidKeySpecException {
    return switch (label) {
      case "PRIVATE KEY" -> der;
      case "RSA PRIVATE KEY" -> element(SEQUENCE, VERSION_0, RSA, element(OCTET_STRING, der));
      case "EC PRIVATE KEY" ->
          element(
              SEQUENCE, VERSION_0, element(SEQUENCE, EC, curve(der)), element(OCTET_STRING, der));
      default -> throw new InvalidKeySpecException("unknown kind of key: " + label);
    };
  }

  /** The curve that an ECPrivateKey names in its optional field [0]. */
  private static byte[] curve(byte[] der) throws InvalidKeySpecException {
    try {
      int at = content(der, 0);
      while (at < der.length) {
        int start = content(der, at);
        int end = start + length(der, at);
        if ((der[at] & 0xff) == EC_PARAMETERS) {
          return Arrays.copyOfRange(der, start, end);
        }
        at = end;
      }
    } catch (IndexOutOfBoundsException e) {
      throw new InvalidKeySpecException("the key is cut off", e);
    }
    throw new InvalidKeySpecException("the key does not name its curve");
  }

  /** Where the content of the element at {@code at} begins. */
  private static int content(byte[] der, int at) {
    int first = der[at + 1] & 0xff;
    return at + 2 + (first < 0x80 ? 0 : first & 0x7f);
  }

  private static int length(byte[] der, int at) {
    int first = der[at + 1] & 0xff;
    if (first < 0x80) {
      return first;
    }
    int length = 0;
    for (int i = at + 2; i < content(der, at); i++) {
      length = length << 8 | (der[i] & 0xff);
    }
    if (length < 0) {
      throw new IndexOutOfBoundsException(length);
    }
    return length;
  }

  private static byte[] element(int tag, byte[]... parts) {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      body.writeBytes(part);
    }
    int length = body.size();
    ByteArrayOutputStream out = new ByteArrayOutputStream(length + 4);
    out.write(tag);
    if (length < 0x80) {
      out.write(length);
    } else {
      int bytes = (39 - Integer.numberOfLeadingZeros(length)) / 8;
      out.write(0x80 | bytes);
      for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
        out.write(length >> shift);
      }
    }
    out.writeBytes(body.toByteArray());
    return out.toByteArray();
  }
}
