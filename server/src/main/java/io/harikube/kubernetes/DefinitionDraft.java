package io.harikube.kubernetes;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What has been read of a CustomResourceDefinition. The older form of definitions, in which the API
 * server stores them, may say for all versions at once what the newer one says for each.
 */
final class DefinitionDraft {
  static final class Version {
    String name = "";
    boolean served;
    boolean storage;
    @Nullable Schema schema;
    final List<String> paths = new ArrayList<>();
  }

  boolean deleting;
  String group = "";
  String plural = "";
  String kind = "";
  String scope = "";
  String conversion = "";
  String onlyVersion = "";
  @Nullable Schema schema;
  final List<String> paths = new ArrayList<>();
  final List<Version> versions = new ArrayList<>();

  /** The resource; null if it is not the one expected. */
  @Nullable CustomResource build(Resource expected) {
    if (!Resource.of(group, plural).equals(expected) || kind.isEmpty()) {
      return null;
    }
    if (versions.isEmpty()) {
      Version version = new Version();
      version.name = onlyVersion;
      version.served = true;
      version.storage = true;
      versions.add(version);
    }
    return new CustomResource(
        expected,
        kind,
        !scope.equals("Cluster"),
        !conversion.isEmpty() && !conversion.equals("None"),
        deleting,
        versions.stream().map(this::version).toList());
  }

  private CustomResource.Version version(Version version) {
    List<SelectableField> fields = new ArrayList<>();
    for (String path : version.paths.isEmpty() ? paths : version.paths) {
      if (path.startsWith(".")) {
        String label = path.substring(1);
        fields.add(new SelectableField(label, mayDefault(version, label)));
      }
    }
    return new CustomResource.Version(version.name, version.served, version.storage, fields);
  }

  private boolean mayDefault(Version version, String label) {
    Schema own = version.schema == null ? schema : version.schema;
    return own != null && Schema.mayDefault(own, label);
  }
}
