package io.harikube.kubernetes;

import org.jspecify.annotations.Nullable;

/**
 * The objects of one type, by the place where the API server keeps them.
 *
 * @param path what stands between the prefix of all keys and the namespace or name: {@code pods},
 *     {@code services/specs}, {@code example.com/widgets}. That of a built-in resource has no
 *     group, with a few exceptions that are kept like custom resources.
 */
public record Resource(String path) {
  public static final Resource CUSTOM_RESOURCE_DEFINITIONS =
      new Resource("apiextensions.k8s.io/customresourcedefinitions");

  /** Where custom resources are kept, and those of aggregated API servers. */
  public static Resource of(String group, String plural) {
    return new Resource(group + "/" + plural);
  }

  /** The resource that a CustomResourceDefinition is of; null for an object that is none. */
  static @Nullable Resource defined(ObjectKey definition) {
    int dot = definition.name().indexOf('.');
    return definition.resource().equals(CUSTOM_RESOURCE_DEFINITIONS) && dot >= 0
        ? of(definition.name().substring(dot + 1), definition.name().substring(0, dot))
        : null;
  }

  /** The group in the path; empty if it has none. */
  public String group() {
    int slash = path.indexOf('/');
    return slash > 0 && path.lastIndexOf('.', slash) >= 0 ? path.substring(0, slash) : "";
  }

  /** The name of the resource in the API. */
  public String plural() {
    return switch (path) {
      case "minions" -> "nodes";
      case "controllers" -> "replicationcontrollers";
      case "ingress" -> "ingresses";
      case "services/specs" -> "services";
      case "services/endpoints" -> "endpoints";
      default -> path.substring(path.indexOf('/') + 1);
    };
  }
}
