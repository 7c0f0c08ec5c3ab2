package io.harikube.kubernetes;

import java.util.List;
import java.util.Map;

/**
 * What a stored object says of itself. Texts that are missing in the object are empty. A text may
 * hold any character, the zero character included.
 *
 * @param apiVersion group and version of the stored form, such as {@code apps/v1}; {@code v1} for
 *     the core group
 * @param namespace empty for an object without namespace
 * @param labels as the API server sees them, with those that it adds on reading
 * @param fields the values of the field labels that are certain; {@code metadata.name} and {@code
 *     metadata.namespace} always. Of any other field label nothing is known.
 * @param deleting whether deletion has been asked for: there is a deletion timestamp
 * @param deletionGracePeriodSeconds 0 if there is none: to Kubernetes both mean that the object
 *     goes with its last finalizer
 */
public record ObjectInfo(
    String apiVersion,
    String kind,
    String namespace,
    String name,
    String uid,
    Map<String, String> labels,
    Map<String, String> fields,
    List<OwnerReference> ownerReferences,
    List<String> finalizers,
    boolean deleting,
    long deletionGracePeriodSeconds)
    implements StoredValue {

  /** The group; empty for the core group. */
  public String group() {
    return groupOf(apiVersion);
  }

  public String version() {
    return versionOf(apiVersion);
  }

  /** Whether the API server may find that the object matches; false is certain. */
  public boolean mayMatch(LabelSelector label, FieldSelector field) {
    return label.matches(labels) && field.mayMatch(fields);
  }

  /** The group of an apiVersion; empty for the core group. */
  public static String groupOf(String apiVersion) {
    int slash = apiVersion.indexOf('/');
    return slash < 0 ? "" : apiVersion.substring(0, slash);
  }

  static String versionOf(String apiVersion) {
    return apiVersion.substring(apiVersion.indexOf('/') + 1);
  }
}
