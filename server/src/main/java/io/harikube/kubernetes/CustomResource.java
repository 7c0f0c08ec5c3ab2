package io.harikube.kubernetes;

import java.util.HashMap;
import java.util.LinkedHashMap;
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
    if (convertedByWebhook) {
      // Only the storage version's paths are asked for, and only its objects have them.
      for (Version version : versions) {
        if (version.storage) {
          fields.put(version.name, fieldsOf(List.of(version)));
        }
      }
    } else {
      // Versions differ in their names only: a path means the same in all of them.
      KindFields all = fieldsOf(versions);
      versions.forEach(version -> fields.put(version.name, all));
    }
  }

  private static KindFields fieldsOf(List<Version> versions) {
    Map<String, Boolean> mayHaveDefault = new LinkedHashMap<>();
    for (Version version : versions) {
      for (SelectableField field : version.fields) {
        if (field.isPlain()) {
          mayHaveDefault.merge(field.path(), field.mayHaveDefault(), Boolean::logicalOr);
        }
      }
    }
    if (mayHaveDefault.isEmpty()) {
      return KindFields.NONE;
    }
    KindFields.Builder builder = KindFields.builder();
    mayHaveDefault.forEach((path, uncertain) -> builder.scalar(path, uncertain ? null : ""));
    return builder.build();
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

  /** Whether an object of this resource can have fields besides those of metadata. */
  boolean hasFields() {
    return fields.values().stream().anyMatch(kindFields -> kindFields != KindFields.NONE);
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
