package io.harikube.kubernetes;

import io.harikube.kubernetes.Kind.NotServed;
import io.harikube.kubernetes.Kind.Reason;
import io.harikube.kubernetes.Kind.Served;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The kinds that are known, Kubernetes' own and custom ones: where the owner is that a reference
 * names, as Kubernetes' garbage collector would look it up.
 *
 * <p>May be asked by many threads while definitions change; a definition that is replaced is never
 * unknown in between. What is defined but not yet followed is unknown.
 */
public final class Kinds {
  private static final NotServed UNKNOWN = new NotServed(Reason.UNKNOWN_KIND);
  private static final NotServed UNSERVED = new NotServed(Reason.UNSERVED_VERSION);

  private final Map<Resource, CustomResource> definitions = new ConcurrentHashMap<>();

  /** The resources of each custom kind. Two of them cannot both be served. */
  private final Map<GroupKind, Set<Resource>> resources = new ConcurrentHashMap<>();

  private volatile BiConsumer<String, String> listener = (_, _) -> {};

  /** Those of Kubernetes alone, as long as nothing is defined. */
  Kinds() {}

  /**
   * The kind of an owner. Any version of a kind is as good as another, if it is served. Whether an
   * owner can be of this kind also depends on the namespace, which a reference does not say: see
   * {@link Served#object}.
   */
  public Kind resolve(OwnerReference owner) {
    GroupKind kind = new GroupKind(ObjectInfo.groupOf(owner.apiVersion()), owner.kind());
    Kind found = find(kind, ObjectInfo.versionOf(owner.apiVersion()));
    if (!(found instanceof Served served)) {
      return found;
    }
    if (served.deletion() == Deletion.NEVER) {
      return new NotServed(Reason.NEVER_AN_OWNER);
    }
    return isName(owner.name()) ? served : new NotServed(Reason.UNFIT_NAME);
  }

  private Kind find(GroupKind kind, String version) {
    KindTable.Row row = KindTable.of(kind);
    if (row != null) {
      return row.versions().contains(version) ? row.where() : UNSERVED;
    }
    CustomResource custom = definition(kind);
    if (custom == null) {
      return UNKNOWN;
    }
    return custom.isServed(version) ? served(custom) : UNSERVED;
  }

  /** The only definition of a kind; null if there is none, or another one too. */
  private @Nullable CustomResource definition(GroupKind kind) {
    Set<Resource> those = resources.getOrDefault(kind, Set.of());
    return those.size() == 1 ? definitions.get(those.iterator().next()) : null;
  }

  /** Whether an object can have this name: the API server takes none that is no part of a path. */
  private static boolean isName(String name) {
    return !name.isEmpty()
        && !name.equals(".")
        && !name.equals("..")
        && name.indexOf('/') < 0
        && name.indexOf('%') < 0;
  }

  /** The kind of the objects that are kept at a place. */
  public Kind kindOf(Resource resource) {
    KindTable.Row row = KindTable.of(resource);
    if (row != null) {
      return row.where();
    }
    CustomResource custom = definitions.get(resource);
    if (custom == null) {
      return UNKNOWN;
    }
    return custom.versions().stream().anyMatch(CustomResource.Version::served)
        ? served(custom)
        : UNSERVED;
  }

  private static Served served(CustomResource custom) {
    return new Served(custom.resource(), custom.isNamespaced(), Deletion.PLAIN);
  }

  /** Has a listener told of each group and kind whose definition has come or changed. */
  public void onDefined(BiConsumer<String, String> newListener) {
    listener = newListener;
  }

  /**
   * Takes note of a custom resource, or that there is no such resource any more. By one thread at a
   * time.
   */
  void define(Resource resource, @Nullable CustomResource definition) {
    CustomResource old =
        definition == null ? definitions.remove(resource) : definitions.put(resource, definition);
    if (definition != null) {
      resources.merge(definition.groupKind(), Set.of(resource), Kinds::with);
    }
    if (old != null && (definition == null || !old.groupKind().equals(definition.groupKind()))) {
      resources.computeIfPresent(old.groupKind(), (_, those) -> without(those, resource));
      if (definition(old.groupKind()) != null) {
        // Nobody could say which of the two it was.
        listener.accept(old.groupKind().group(), old.kind());
      }
    }
    if (definition != null) {
      listener.accept(definition.groupKind().group(), definition.kind());
    }
  }

  private static Set<Resource> with(Set<Resource> those, Set<Resource> added) {
    Set<Resource> all = new HashSet<>(those);
    all.addAll(added);
    return Set.copyOf(all);
  }

  private static @Nullable Set<Resource> without(Set<Resource> those, Resource resource) {
    Set<Resource> left = new HashSet<>(those);
    left.remove(resource);
    return left.isEmpty() ? null : Set.copyOf(left);
  }
}
