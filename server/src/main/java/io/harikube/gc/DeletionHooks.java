package io.harikube.gc;

import io.harikube.kubernetes.Resource;

/** Knows whose deletions somebody wants to see and to refuse. */
@FunctionalInterface
public interface DeletionHooks {

  /** Nobody does. */
  DeletionHooks NONE = _ -> false;

  /** Whether an admission webhook or policy may look at deletions of objects of a resource. */
  boolean seeDeletionsOf(Resource resource);
}
