package io.harikube.kubernetes;

import io.harikube.store.Filter;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/** One condition on one label. Its text is what {@link LabelSelector#parse} reads. */
public sealed interface LabelRequirement {
  /** The name of the label, with its prefix. */
  String key();

  /** Whether labels fulfil the condition. */
  boolean matches(Map<String, String> labels);

  /**
   * The label is there and has one of the values ({@code =}, {@code ==}, {@code in}).
   *
   * @param values sorted, without duplicates, at least one
   */
  record In(String key, List<String> values) implements LabelRequirement {
    public In {
      values = LabelSyntax.sorted(values);
    }

    @Override
    public boolean matches(Map<String, String> labels) {
      String value = labels.get(key);
      return value != null && values.contains(value);
    }

    @Override
    public String toString() {
      return values.size() == 1
          ? key + "=" + values.getFirst()
          : key + " in (" + String.join(",", values) + ")";
    }
  }

  /**
   * The label is not there or has none of the values ({@code !=}, {@code notin}).
   *
   * @param values sorted, without duplicates, at least one
   */
  record NotIn(String key, List<String> values) implements LabelRequirement {
    public NotIn {
      values = LabelSyntax.sorted(values);
    }

    @Override
    public boolean matches(Map<String, String> labels) {
      String value = labels.get(key);
      return value == null || !values.contains(value);
    }

    @Override
    public String toString() {
      return values.size() == 1
          ? key + "!=" + values.getFirst()
          : key + " notin (" + String.join(",", values) + ")";
    }
  }

  /** The label is there. */
  record Exists(String key) implements LabelRequirement {
    @Override
    public boolean matches(Map<String, String> labels) {
      return labels.containsKey(key);
    }

    @Override
    public String toString() {
      return key;
    }
  }

  /** The label is not there. */
  record Absent(String key) implements LabelRequirement {
    @Override
    public boolean matches(Map<String, String> labels) {
      return !labels.containsKey(key);
    }

    @Override
    public String toString() {
      return "!" + key;
    }
  }

  /** The label is there and is an integer above the bound. */
  record GreaterThan(String key, long bound) implements LabelRequirement {
    @Override
    public boolean matches(Map<String, String> labels) {
      OptionalLong value = Filter.integer(labels.getOrDefault(key, ""));
      return value.isPresent() && value.getAsLong() > bound;
    }

    @Override
    public String toString() {
      return key + ">" + bound;
    }
  }

  /** The label is there and is an integer below the bound. */
  record LessThan(String key, long bound) implements LabelRequirement {
    @Override
    public boolean matches(Map<String, String> labels) {
      OptionalLong value = Filter.integer(labels.getOrDefault(key, ""));
      return value.isPresent() && value.getAsLong() < bound;
    }

    @Override
    public String toString() {
      return key + "<" + bound;
    }
  }
}
