package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The custom resources that there are, learnt from the CustomResourceDefinitions as they are
 * stored. For any thread; updates of one definition come in order, from one thread.
 */
public final class CustomResources {
  private final Map<Resource, CustomResource> resources = new ConcurrentHashMap<>();

  /**
   * Takes note of a definition. One that cannot be understood leaves its resource unknown.
   *
   * @param key the key of the definition
   * @return whether the fields of the stored objects of its resource may be others now, so that
   *     what has been kept of them is to be read anew
   */
  public boolean put(ObjectKey key, Bytes value) {
    Resource resource = defined(key);
    if (resource == null) {
      return false;
    }
    CustomResource after = DefinitionReader.read(resource, value);
    CustomResource before =
        after == null ? resources.remove(resource) : resources.put(resource, after);
    return differ(before, after);
  }

  /** Forgets a definition that is gone; returns as {@link #put} does. */
  public boolean remove(ObjectKey key) {
    Resource resource = defined(key);
    return resource != null && differ(resources.remove(resource), null);
  }

  /** What is known of a resource; null if it is none of a known definition. */
  public @Nullable CustomResource get(Resource resource) {
    return resources.get(resource);
  }

  /**
   * The field labels of a resource, built-in or custom, of which objects can have certain values;
   * those of metadata are among them. A single object may lack one all the same.
   */
  public Set<String> fieldLabels(Resource resource) {
    Set<String> labels = new LinkedHashSet<>(Set.of("metadata.name", "metadata.namespace"));
    labels.addAll(BuiltInKinds.labels(resource));
    CustomResource custom = get(resource);
    if (custom != null) {
      labels.addAll(custom.fieldLabels());
    }
    return labels;
  }

  /** The resource that a definition is of: its name is the plural, a dot and the group. */
  static @Nullable Resource defined(ObjectKey key) {
    int dot = key.name().indexOf('.');
    if (!key.resource().equals(Resource.CUSTOM_RESOURCE_DEFINITIONS) || dot < 0) {
      return null;
    }
    return Resource.of(key.name().substring(dot + 1), key.name().substring(0, dot));
  }

  private static boolean differ(@Nullable CustomResource before, @Nullable CustomResource after) {
    boolean none = (before == null || !before.hasFields()) && (after == null || !after.hasFields());
    return !none && !Objects.equals(before, after);
  }
}
