package io.harikube.kubernetes;

import java.util.Map;

/** One condition on one field. Its text is what {@link FieldSelector#parse} reads. */
public sealed interface FieldRequirement {
  /** The label of the field, such as {@code spec.nodeName}. */
  String field();

  String value();

  /** Whether fields fulfil the condition; a field that is not there is empty. */
  boolean matches(Map<String, String> fields);

  /** The field has the value ({@code =}, {@code ==}). */
  record Is(String field, String value) implements FieldRequirement {
    @Override
    public boolean matches(Map<String, String> fields) {
      return fields.getOrDefault(field, "").equals(value);
    }

    @Override
    public String toString() {
      return field + "=" + FieldSelector.escaped(value);
    }
  }

  /** The field does not have the value ({@code !=}). */
  record IsNot(String field, String value) implements FieldRequirement {
    @Override
    public boolean matches(Map<String, String> fields) {
      return !fields.getOrDefault(field, "").equals(value);
    }

    @Override
    public String toString() {
      return field + "!=" + FieldSelector.escaped(value);
    }
  }
}
