package io.harikube.kubernetes;

import static java.util.stream.Collectors.joining;

import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * A label selector: all of its requirements hold. Without requirements it matches everything.
 *
 * <p>The requirements are in the order of their keys, so that selectors which ask for the same in
 * another order are equal; {@code a==b}, {@code a in (b)} and {@code a=b} are the same requirement.
 * The text of a selector is its canonical form and parses to an equal one.
 */
public record LabelSelector(List<LabelRequirement> requirements) {
  private static final Comparator<LabelRequirement> ORDER =
      Comparator.comparing(LabelRequirement::key).thenComparing(LabelRequirement::toString);

  public static final LabelSelector EVERYTHING = new LabelSelector(List.of());

  public LabelSelector {
    requirements = requirements.stream().sorted(ORDER).toList();
  }

  /**
   * Reads a selector as Kubernetes does (apimachinery, labels.Parse).
   *
   * @throws SelectorException if Kubernetes refuses the text
   */
  public static LabelSelector parse(String text) throws SelectorException {
    return text.isEmpty()
        ? EVERYTHING
        : new LabelSelector(new LabelSelectorParser(text).requirements());
  }

  public boolean isEverything() {
    return requirements.isEmpty();
  }

  public boolean matches(Map<String, String> labels) {
    for (LabelRequirement requirement : requirements) {
      if (!requirement.matches(labels)) {
        return false;
      }
    }
    return true;
  }

  @Override
  public String toString() {
    return requirements.stream().map(LabelRequirement::toString).collect(joining(","));
  }
}
