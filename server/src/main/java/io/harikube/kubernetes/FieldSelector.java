package io.harikube.kubernetes;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A field selector: all of its requirements hold. Without requirements it matches everything.
 *
 * <p>The requirements are in the order of their texts. The text of a selector is its canonical form
 * and parses to an equal one.
 */
public record FieldSelector(List<FieldRequirement> requirements) {
  private static final Comparator<FieldRequirement> ORDER =
      Comparator.comparing(FieldRequirement::toString);

  public static final FieldSelector EVERYTHING = new FieldSelector(List.of());

  public FieldSelector {
    requirements = requirements.stream().sorted(ORDER).toList();
  }

  /**
   * Reads a selector as Kubernetes does (apimachinery, fields.ParseSelector). Empty terms are left
   * out, and so is a term whose field and value are both empty.
   *
   * @throws SelectorException if Kubernetes refuses the text
   */
  public static FieldSelector parse(String text) throws SelectorException {
    if (text.isEmpty()) {
      return EVERYTHING;
    }
    List<FieldRequirement> requirements = new ArrayList<>();
    int start = 0;
    boolean escaped = false;
    for (int i = 0; i <= text.length(); i++) {
      if (i == text.length() || (text.charAt(i) == ',' && !escaped)) {
        FieldRequirement requirement = term(text.substring(start, i), text);
        if (requirement != null) {
          requirements.add(requirement);
        }
        start = i + 1;
        escaped = false;
      } else {
        escaped = !escaped && text.charAt(i) == '\\';
      }
    }
    return new FieldSelector(requirements);
  }

  /** One term: all before the first operator is the field, whatever it is made of. */
  private static @Nullable FieldRequirement term(String term, String text)
      throws SelectorException {
    if (term.isEmpty()) {
      return null;
    }
    int equals = term.indexOf('=');
    if (equals < 0) {
      throw new SelectorException("'" + term + "' has no operator", text);
    }
    boolean not = equals > 0 && term.charAt(equals - 1) == '!';
    boolean twice = !not && term.startsWith("==", equals);
    String field = term.substring(0, not ? equals - 1 : equals);
    String value = unescaped(term.substring(equals + (twice ? 2 : 1)), text);
    if (field.isEmpty() && value.isEmpty()) {
      return null;
    }
    return not ? new FieldRequirement.IsNot(field, value) : new FieldRequirement.Is(field, value);
  }

  private static String unescaped(String value, String text) throws SelectorException {
    StringBuilder plain = new StringBuilder(value.length());
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '\\') {
        i++;
        if (i == value.length() || "\\,=".indexOf(value.charAt(i)) < 0) {
          throw new SelectorException("a backslash stands only before \\ , and =", text);
        }
        c = value.charAt(i);
      } else if (c == ',' || c == '=') {
        throw new SelectorException("'" + c + "' in a value needs a backslash", text);
      }
      plain.append(c);
    }
    return plain.toString();
  }

  /** A value as it is written in a selector. */
  static String escaped(String value) {
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=");
  }

  public boolean isEverything() {
    return requirements.isEmpty();
  }

  /** Whether fields match as Kubernetes has it: a field that is not there is empty. */
  public boolean matches(Map<String, String> fields) {
    for (FieldRequirement requirement : requirements) {
      if (!requirement.matches(fields)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether an object of which these fields are known, and no others, may match: a requirement on
   * another field is left to the API server.
   */
  public boolean mayMatch(Map<String, String> known) {
    for (FieldRequirement requirement : requirements) {
      if (known.containsKey(requirement.field()) && !requirement.matches(known)) {
        return false;
      }
    }
    return true;
  }

  @Override
  public String toString() {
    return requirements.stream().map(FieldRequirement::toString).collect(joining(","));
  }
}
