package io.harikube.testing;

import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * The attributes of values in tests: of {@code {a=1;b=}} they are a and b, {@code {?}} cannot be
 * understood, and any other value has none.
 */
public final class TestAttributes {
  private TestAttributes() {}

  public static Attributes read(Bytes key, Bytes value) {
    String text = new String(value.array(), StandardCharsets.UTF_8);
    if (!text.startsWith("{") || !text.contains("}")) {
      return Attributes.NONE;
    }
    String inner = text.substring(1, text.indexOf('}'));
    if (inner.equals("?")) {
      return Attributes.UNKNOWN;
    }
    Map<String, String> values = new HashMap<>();
    for (String part : inner.split(";", -1)) {
      int equals = part.indexOf('=');
      if (equals > 0) {
        values.put(part.substring(0, equals), part.substring(equals + 1));
      }
    }
    return new Attributes(values);
  }
}
