package io.harikube.kubernetes;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The fields of the objects of one kind in one version, besides those of metadata. Immutable. */
final class KindFields {
  static final KindFields NONE = builder().build();

  private static final int NO_SLOT = -1;

  /**
   * One field label.
   *
   * @param slots where its value may be: the first one that is not empty counts
   * @param fallback the value if there is none; null if it is not certain then
   */
  private record Field(String label, List<Integer> slots, @Nullable String fallback) {}

  private final List<Field> fields;
  private final FieldTree tree;
  private final int slots;
  private final int templateLabels;
  private final boolean labelledWithName;

  private KindFields(Builder builder) {
    this.fields = List.copyOf(builder.fields);
    this.tree = builder.tree;
    this.slots = builder.slots;
    this.templateLabels = builder.templateLabels;
    this.labelledWithName = builder.labelledWithName;
  }

  static Builder builder() {
    return new Builder();
  }

  FieldTree tree() {
    return tree;
  }

  /** How many places the tree has. */
  int slots() {
    return slots;
  }

  Set<String> labels() {
    Set<String> labels = new LinkedHashSet<>();
    fields.forEach(field -> labels.add(field.label));
    return labels;
  }

  /** Adds the fields that are certain. */
  void resolve(@Nullable Object[] values, Map<String, String> into) {
    for (Field field : fields) {
      String value = value(field, values);
      if (value != null) {
        into.put(field.label, value);
      }
    }
  }

  private static @Nullable String value(Field field, @Nullable Object[] values) {
    boolean present = false;
    for (int slot : field.slots) {
      Object value = values[slot];
      if (value instanceof FieldTree.Invalid) {
        return null;
      }
      if (value instanceof String text) {
        if (!text.isEmpty()) {
          return text;
        }
        present = true;
      }
    }
    return field.fallback == null && present ? "" : field.fallback;
  }

  /**
   * The labels as they are after Kubernetes' defaults: a few kinds take those of the pod template
   * if they have none, and a namespace always carries its name.
   */
  Map<String, String> labels(Map<String, String> own, String name, @Nullable Object[] values) {
    if (own.isEmpty() && templateLabels != NO_SLOT) {
      return template(values[templateLabels]);
    }
    if (labelledWithName && !name.isEmpty()) {
      own.put("kubernetes.io/metadata.name", name);
    }
    return own;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, String> template(@Nullable Object value) {
    if (value instanceof FieldTree.Invalid) {
      throw new Unreadable("labels of the pod template that are no strings");
    }
    return value == null ? Map.of() : (Map<String, String>) value;
  }

  static final class Builder {
    private final List<Field> fields = new ArrayList<>();
    private final FieldTree tree = new FieldTree();
    private int slots;
    private int templateLabels = NO_SLOT;
    private boolean labelledWithName;

    /** A field whose label is its path. */
    Builder string(String label, int... numbers) {
      return field(label, "", place(label, Form.STRING, numbers));
    }

    /** A field whose label is its path, with a value that it has when it is empty. */
    Builder stringOr(String fallback, String label, int... numbers) {
      return field(label, fallback, place(label, Form.STRING, numbers));
    }

    Builder bool(String label, int... numbers) {
      return field(label, "false", place(label, Form.BOOL, numbers));
    }

    Builder count(String label, String path, int... numbers) {
      return field(label, "0", place(path, Form.INT32, numbers));
    }

    /** A field of a custom resource; null if it is not certain what an absent one means. */
    Builder scalar(String label, @Nullable String fallback) {
      return field(label, fallback, place(label, Form.SCALAR));
    }

    Builder field(String label, @Nullable String fallback, Integer... places) {
      fields.add(new Field(label, List.of(places), fallback));
      return this;
    }

    Builder templateLabels(int... numbers) {
      templateLabels = place("spec.template.metadata.labels", Form.LABELS, numbers);
      return this;
    }

    Builder labelledWithName() {
      labelledWithName = true;
      return this;
    }

    int place(String path, Form form, int... numbers) {
      tree.add(path, numbers, form, slots);
      return slots++;
    }

    KindFields build() {
      return new KindFields(this);
    }
  }
}
