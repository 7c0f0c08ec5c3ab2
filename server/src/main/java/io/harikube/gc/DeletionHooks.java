package io.harikube.gc;

import io.harikube.kubernetes.Resource;

/** Knows whose deletions somebody wants to see and to refuse. Safe for many threads. */
@FunctionalInterface
public interface DeletionHooks {

  /** Nobody does. */
  DeletionHooks NONE = (_, _) -> false;

  /**
   * Whether an admission webhook or policy may look at deletions of objects of a resource. Asked
   * for each object that is to be deleted.
   *
   * @param namespaced whether the objects are in namespaces
   * @throws io.harikube.store.StoreException if that is not known just now: then the object is
   *     looked at again later
   */
  boolean seeDeletionsOf(Resource resource, boolean namespaced);
}
