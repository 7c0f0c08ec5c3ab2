package io.harikube.store;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * What the value of a key says of itself, so that ranges and watches can be filtered by it: names
 * with one value each. A name that is not there has no value, which is another thing than an empty
 * one.
 *
 * @param known the {@link AttributeName#added} names that were looked for; of others nothing is
 *     known
 */
public record Attributes(Map<AttributeName, String> values, Set<AttributeName> known) {
  /** Of a value that has no attributes. */
  public static final Attributes NONE = new Attributes(Map.of());

  /** Of a value that cannot be understood: every filter lets it through. */
  public static final Attributes UNKNOWN = new Attributes(Map.of(AttributeName.UNKNOWN, ""));

  /** Longer values are no keys for a database's index. */
  private static final int MAX_VALUE_LENGTH = 512;

  /**
   * Attributes with a value of more than 512 characters are unknown, but for those that are {@link
   * AttributeName#isWatched}: no filter looks at these.
   */
  public Attributes {
    boolean fit = values.values().stream().allMatch(value -> value.length() <= MAX_VALUE_LENGTH);
    values = fit ? Map.copyOf(values) : unknown(values);
    known = Set.copyOf(known);
  }

  private static Map<AttributeName, String> unknown(Map<AttributeName, String> values) {
    Map<AttributeName, String> left = new HashMap<>(Map.of(AttributeName.UNKNOWN, ""));
    values.forEach(
        (name, value) -> {
          if (name.isWatched() && value.length() <= MAX_VALUE_LENGTH) {
            left.put(name, value);
          }
        });
    return Map.copyOf(left);
  }

  public Attributes(Map<AttributeName, String> values) {
    this(values, Set.of());
  }

  /** Whether the value of a name, or that it has none, is known. */
  public boolean knows(AttributeName name) {
    return !isUnknown() && (!name.isAdded() || known.contains(name));
  }

  /** Whether the value could not be understood. */
  public boolean isUnknown() {
    return values.containsKey(AttributeName.UNKNOWN);
  }
}
