package io.harikube.store;

import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.Predicate;

/**
 * Which keys a range or a watch wants, by their attributes: those that meet all requirements, as
 * far as their attributes are known.
 *
 * @param keyEnd what the keys end in; empty for all keys
 */
public record Filter(List<Requirement> requirements, Bytes keyEnd) {

  /** Lets everything through. */
  public static final Filter NONE = new Filter(List.of());

  public Filter {
    requirements = List.copyOf(requirements);
  }

  public Filter(List<Requirement> requirements) {
    this(requirements, Bytes.EMPTY);
  }

  /** How a requirement looks at the attribute of its name. */
  public enum Operator {
    /** It is there and has one of the values. */
    IN,
    /** It is not there or has none of the values. */
    NOT_IN,
    PRESENT,
    /** It is not there or has one of the values, of which there may be none. */
    ABSENT,
    /** It is an integer above the number. */
    ABOVE,
    /** It is an integer below the number. */
    BELOW
  }

  /**
   * A requirement.
   *
   * @param values for {@code IN}, {@code NOT_IN} and {@code ABSENT}
   * @param number for {@code ABOVE} and {@code BELOW}
   */
  public record Requirement(
      AttributeName name, Operator operator, List<String> values, long number) {
    public Requirement {
      values = List.copyOf(values);
    }

    boolean matches(Map<AttributeName, String> attributes) {
      String value = attributes.get(name);
      return switch (operator) {
        case IN -> value != null && values.contains(value);
        case NOT_IN -> value == null || !values.contains(value);
        case PRESENT -> value != null;
        case ABSENT -> value == null || values.contains(value);
        case ABOVE -> value != null && compare(value) > 0;
        case BELOW -> value != null && compare(value) < 0;
      };
    }

    /** Compares the value, if it is an integer, with the number. */
    private int compare(String value) {
      OptionalLong integer = integer(value);
      return integer.isEmpty() ? 0 : Long.compare(integer.getAsLong(), number);
    }
  }

  /** Only the requirements of these names: a filter that matches the same and more. */
  public Filter only(Predicate<AttributeName> names) {
    List<Requirement> kept =
        requirements.stream().filter(requirement -> names.test(requirement.name())).toList();
    return kept.size() == requirements.size() ? this : new Filter(kept, keyEnd);
  }

  public boolean isEmpty() {
    return requirements.isEmpty() && keyEnd.isEmpty();
  }

  public boolean matches(Bytes key, Attributes attributes) {
    if (!key.endsWith(keyEnd)) {
      return false;
    }
    for (Requirement requirement : requirements) {
      if (attributes.knows(requirement.name()) && !requirement.matches(attributes.values())) {
        return false;
      }
    }
    return true;
  }

  /** The value as Kubernetes takes it for a number: ASCII digits of 64 bits, with a sign or not. */
  public static OptionalLong integer(String value) {
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      boolean sign = i == 0 && value.length() > 1 && (c == '+' || c == '-');
      if (!sign && (c < '0' || c > '9')) {
        return OptionalLong.empty();
      }
    }
    try {
      return OptionalLong.of(Long.parseLong(value));
    } catch (NumberFormatException e) {
      return OptionalLong.empty();
    }
  }
}
