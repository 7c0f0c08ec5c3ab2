package io.harikube.kubernetes;

import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A rule of an admission webhook or policy, as far as it says whose deletions are looked at.
 * Source: {@code admission/plugin/webhook/predicates/rules} of k8s.io/apiserver.
 *
 * <p>Of what narrows a rule further nothing is known here: versions (any may be asked for, as an
 * equivalent of another), names, selectors, conditions, and rules that exclude.
 *
 * @param groups of the API, or {@code *}
 * @param plurals names of resources, or {@code *}; no subresources
 * @param scope {@code Namespaced}, {@code Cluster}, or anything else for both
 */
record AdmissionRule(Set<String> groups, Set<String> plurals, String scope) {
  private static final String ANY = "*";

  /** Looks at everything. */
  static final AdmissionRule ALL = new AdmissionRule(Set.of(ANY), Set.of(ANY), ANY);

  AdmissionRule {
    groups = Set.copyOf(groups);
    plurals = Set.copyOf(plurals);
  }

  /** Whether any of some rules looks at deletions of the objects of a resource. */
  static boolean anySees(Collection<AdmissionRule> rules, Resource resource, boolean namespaced) {
    Set<String> groups =
        resource.group().isEmpty() ? KindTable.groups(resource) : Set.of(resource.group());
    return rules.stream().anyMatch(rule -> rule.sees(groups, resource.plural(), namespaced));
  }

  /**
   * Whether it looks at deletions of the objects of a resource.
   *
   * @param those the groups in which the resource is; none if that is not known
   */
  private boolean sees(Set<String> those, String plural, boolean namespaced) {
    return (plurals.contains(ANY) || plurals.contains(plural))
        && (those.isEmpty() || groups.contains(ANY) || those.stream().anyMatch(groups::contains))
        && !scope.equals(namespaced ? "Cluster" : "Namespaced");
  }

  /** A rule that is being read. Not for use by several threads. */
  static final class Draft {
    private final Set<String> groups = new HashSet<>();
    private final Set<String> plurals = new HashSet<>();
    private boolean deletions;
    private String scope = ANY;

    void operation(String operation) {
      deletions |= operation.equals("DELETE") || operation.equals(ANY);
    }

    void group(String group) {
      groups.add(group);
    }

    /**
     * @param resource {@code pods}, {@code pods/status}, {@code pods/*}, or with {@code *} for pods
     */
    void resource(String resource) {
      int slash = resource.indexOf('/');
      if (slash < 0) {
        plurals.add(resource);
      } else if (resource.substring(slash + 1).equals(ANY) || slash == resource.length() - 1) {
        plurals.add(resource.substring(0, slash));
      }
    }

    void scope(String newScope) {
      scope = newScope.isEmpty() ? ANY : newScope;
    }

    /** The rule, or nothing if it is one of other operations. */
    List<AdmissionRule> build() {
      return deletions ? List.of(new AdmissionRule(groups, plurals, scope)) : List.of();
    }
  }
}
