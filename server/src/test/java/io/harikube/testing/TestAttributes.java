package io.harikube.testing;

import io.harikube.store.AttributeName;
import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The attributes of values in tests: of {@code {a=1;b=}} they are a and b, {@code {?}} cannot be
 * understood, and any other value has none.
 */
public final class TestAttributes {
  /** Knows another name besides: what values have under {@code +c}. */
  public static final class Growing implements AttributeReader {
    private final AtomicLong generation = new AtomicLong();
    private volatile Runnable before = () -> {};

    /** What is to happen before each reading. */
    public void beforeReading(Runnable newBefore) {
      before = newBefore;
    }

    /** From now on there are attributes that have been added, or no more. */
    public void grow() {
      generation.incrementAndGet();
    }

    @Override
    public Attributes read(Bytes key, Bytes value) {
      before.run();
      Attributes attributes = TestAttributes.read(key, value);
      if (generation.get() % 2 == 1) {
        return new Attributes(attributes.values(), Set.of(AttributeName.added("c")));
      }
      Map<AttributeName, String> values = new HashMap<>(attributes.values());
      values.keySet().removeIf(AttributeName::isAdded);
      return new Attributes(values);
    }

    @Override
    public long generation() {
      return generation.get();
    }
  }

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
    Map<AttributeName, String> values = new HashMap<>();
    for (String part : inner.split(";", -1)) {
      int equals = part.indexOf('=');
      if (equals > 0) {
        values.put(new AttributeName(part.substring(0, equals)), part.substring(equals + 1));
      }
    }
    return new Attributes(values);
  }
}
