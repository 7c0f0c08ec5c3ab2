package io.harikube.store;

import java.util.Map;
import java.util.Set;

/**
 * What the value of a key says of itself, so that ranges and watches can be filtered by it: names
 * with one value each. A name that is not there has no value, which is another thing than an empty
 * one.
 *
 * @param known the {@link #added} names that were looked for; of others nothing is known
 */
public record Attributes(Map<String, String> values, Set<String> known) {
  private static final String UNKNOWN_NAME = "";

  /** Of a value that has no attributes. */
  public static final Attributes NONE = new Attributes(Map.of());

  /** Of a value that cannot be understood: every filter lets it through. */
  public static final Attributes UNKNOWN = new Attributes(Map.of(UNKNOWN_NAME, ""));

  /** Longer values are no keys for a database's index. */
  private static final int MAX_VALUE_LENGTH = 512;

  /** Attributes with a value of more than 512 characters are unknown. */
  public Attributes {
    boolean fit = values.values().stream().allMatch(value -> value.length() <= MAX_VALUE_LENGTH);
    values = fit ? Map.copyOf(values) : Map.of(UNKNOWN_NAME, "");
    known = Set.copyOf(known);
  }

  public Attributes(Map<String, String> values) {
    this(values, Set.of());
  }

  /** Begins names that not all values had when they were written; see {@link Store#gather}. */
  private static final String ADDED = "+";

  /** A name that has been added. */
  public static String added(String name) {
    return ADDED + name;
  }

  /** Whether it is a name that has been added. */
  public static boolean isAdded(String name) {
    return name.startsWith(ADDED);
  }

  /** Whether the value of a name, or that it has none, is known. */
  public boolean knows(String name) {
    return !isUnknown() && (!isAdded(name) || known.contains(name));
  }

  /** The name that only values have which cannot be understood. */
  public static String unknownName() {
    return UNKNOWN_NAME;
  }

  /** Whether the value could not be understood. */
  public boolean isUnknown() {
    return values.containsKey(UNKNOWN_NAME);
  }
}
