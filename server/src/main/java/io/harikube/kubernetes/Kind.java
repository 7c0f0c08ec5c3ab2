package io.harikube.kubernetes;

import org.jspecify.annotations.Nullable;

/** Where the objects of a kind are kept, if that is known. */
public sealed interface Kind {

  /**
   * The API server serves the kind.
   *
   * @param namespaced whether its objects are in namespaces
   * @param deletion what it takes to delete one
   */
  record Served(Resource resource, boolean namespaced, Deletion deletion) implements Kind {
    /**
     * The object with a name; null if there can be none, because its kind is namespaced and whoever
     * refers to it is in no namespace.
     *
     * @param namespace that of whoever refers to it; empty if that is in none
     */
    public @Nullable ObjectKey object(String namespace, String name) {
      if (namespaced && namespace.isEmpty()) {
        return null;
      }
      return new ObjectKey(resource, namespaced ? namespace : "", name);
    }
  }

  /** Nothing can be said about the object, least of all that there is none. */
  record NotServed(Reason reason) implements Kind {}

  /** Why nothing can be said. */
  enum Reason {
    /**
     * No such kind is known, or it is not certain which is meant. It may be of another API server.
     */
    UNKNOWN_KIND,

    /** The kind is known, and not in this version. */
    UNSERVED_VERSION,

    /**
     * Kubernetes refuses it as an owner, or does not follow what becomes of it, which may be in
     * another store.
     */
    NEVER_AN_OWNER,

    /** No object can have this name. */
    UNFIT_NAME
  }
}
