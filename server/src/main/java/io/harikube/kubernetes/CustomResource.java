package io.harikube.kubernetes;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What a CustomResourceDefinition says about the stored objects of its resource. Immutable. */
public final class CustomResource {
  private static final int FINGERPRINT_BYTES = 8;

  /**
   * One version of a custom resource.
   *
   * @param served whether the API server answers in this version
   * @param storage whether objects are written in this version; old ones may be in others
   */
  public record Version(
      String name, boolean served, boolean storage, List<SelectableField> fields) {
    public Version {
      fields = List.copyOf(fields);
    }

    private Version asRead() {
      return new Version(name, true, storage, fields);
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
      boolean deleting,
      List<Version> versions) {
    Definition {
      versions = List.copyOf(versions);
    }

    /** The same for all definitions by which objects are read in the same way. */
    private Definition asRead() {
      return new Definition(
          resource,
          kind,
          namespaced,
          convertedByWebhook,
          false,
          versions.stream().map(Version::asRead).toList());
    }
  }

  private final Definition definition;

  /** By version; what is missing has no field by which it can be told. */
  private final Map<String, KindFields> fields = new HashMap<>();

  CustomResource(
      Resource resource,
      String kind,
      boolean namespaced,
      boolean convertedByWebhook,
      boolean deleting,
      List<Version> versions) {
    this.definition =
        new Definition(resource, kind, namespaced, convertedByWebhook, deleting, versions);
    if (!isConvertedByWebhook()) {
      versions.forEach(version -> fields.put(version.name, fieldsOf(version, versions)));
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
      if (field.isOfTheContent() && paths.add(field.path())) {
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

  /**
   * Whether a webhook makes of a stored object what is answered: it may give it other labels and
   * other fields, and keeps its name and namespace alone.
   */
  public boolean isConvertedByWebhook() {
    return definition.convertedByWebhook && definition.versions.size() > 1;
  }

  public List<Version> versions() {
    return definition.versions;
  }

  /** Whether the API server answers in a version. */
  public boolean isServed(String version) {
    return definition.versions.stream().anyMatch(v -> v.served && v.name.equals(version));
  }

  /** Whether deletion of the definition has been asked for, and with it that of all objects. */
  public boolean isDeleting() {
    return definition.deleting;
  }

  GroupKind groupKind() {
    return new GroupKind(definition.resource.group(), definition.kind);
  }

  /** Whether objects say the same by either definition: they differ in what is served, at most. */
  boolean readsLike(CustomResource other) {
    return definition.asRead().equals(other.definition.asRead());
  }

  /** The field labels besides those of metadata by which the stored objects can be told. */
  public Set<String> fieldLabels() {
    for (Version version : definition.versions) {
      if (version.storage) {
        return fields.getOrDefault(version.name, KindFields.NONE).labels();
      }
    }
    return Set.of();
  }

  /**
   * Tells definitions apart whose objects have other fields, or may have. It is kept with what was
   * read by them, so that how it is made may change only on purpose.
   */
  public String fingerprint() {
    StringBuilder text = new StringBuilder(definition.kind).append('\n');
    for (Version version : definition.versions) {
      text.append(version.name).append(version.storage ? " stored\n" : " served\n");
      for (SelectableField field : version.fields) {
        text.append(field.path()).append(field.mayHaveDefault() ? " default\n" : " plain\n");
      }
    }
    try {
      byte[] hash =
          MessageDigest.getInstance("SHA-256")
              .digest(text.toString().getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(hash, 0, FINGERPRINT_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
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
}
