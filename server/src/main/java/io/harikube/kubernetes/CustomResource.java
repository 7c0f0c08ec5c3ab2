package io.harikube.kubernetes;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What a CustomResourceDefinition says about the stored objects of its resource. Immutable. */
public final class CustomResource {
  /**
   * One version of a custom resource.
   *
   * @param storage whether objects are written in this version; old ones may be in others
   */
  public record Version(String name, boolean storage, List<SelectableField> fields) {
    public Version {
      fields = List.copyOf(fields);
    }

    private boolean mayHaveDefault(String path) {
      return fields.stream().anyMatch(f -> f.path().equals(path) && f.mayHaveDefault());
    }
  }

  private record Definition(
      Resource resource,
      String kind,
      boolean namespaced,
      boolean convertedByWebhook,
      List<Version> versions) {}

  private final Definition definition;

  /** By version; what is missing has no certain field. */
  private final Map<String, KindFields> fields = new HashMap<>();

  CustomResource(
      Resource resource,
      String kind,
      boolean namespaced,
      boolean convertedByWebhook,
      List<Version> versions) {
    this.definition =
        new Definition(resource, kind, namespaced, convertedByWebhook, List.copyOf(versions));
    for (Version version : versions) {
      // A webhook's versions differ in their paths, and selectors come with the storage version's.
      if (version.storage || !convertedByWebhook) {
        fields.put(version.name, fieldsOf(version, convertedByWebhook ? List.of() : versions));
      }
    }
  }

  /**
   * The fields of objects in a version. It is the version asked for whose defaults apply, be it
   * this one or another that only differs in its name.
   */
  private static KindFields fieldsOf(Version version, List<Version> others) {
    KindFields.Builder builder = KindFields.builder();
    Set<String> paths = new LinkedHashSet<>();
    for (SelectableField field : version.fields) {
      if (field.isPlain() && paths.add(field.path())) {
        boolean uncertain =
            field.mayHaveDefault()
                || others.stream().anyMatch(other -> other.mayHaveDefault(field.path()));
        builder.scalar(field.path(), uncertain ? null : "");
      }
    }
    return paths.isEmpty() ? KindFields.NONE : builder.build();
  }

  public Resource resource() {
    return definition.resource;
  }

  public String kind() {
    return definition.kind;
  }

  public boolean isNamespaced() {
    return definition.namespaced;
  }

  /** Whether a webhook converts between versions, so that a version's paths hold for it alone. */
  public boolean isConvertedByWebhook() {
    return definition.convertedByWebhook;
  }

  public List<Version> versions() {
    return definition.versions;
  }

  /** The field labels besides those of metadata that objects in the storage version can have. */
  public Set<String> fieldLabels() {
    for (Version version : definition.versions) {
      if (version.storage) {
        return fields.getOrDefault(version.name, KindFields.NONE).labels();
      }
    }
    return Set.of();
  }

  /** The fields of an object of this resource, by what it says that it is. */
  KindFields fields(String apiVersion, String objectKind) {
    boolean ours =
        objectKind.equals(definition.kind)
            && ObjectInfo.groupOf(apiVersion).equals(definition.resource.group());
    return ours
        ? fields.getOrDefault(ObjectInfo.versionOf(apiVersion), KindFields.NONE)
        : KindFields.NONE;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CustomResource resource && definition.equals(resource.definition);
  }

  @Override
  public int hashCode() {
    return definition.hashCode();
  }

  @Override
  public String toString() {
    return definition.toString();
  }
}
