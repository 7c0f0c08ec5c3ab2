package io.harikube.kubernetes;

/** What the API server does when an object is deleted that no finalizer holds. */
public enum Deletion {
  /**
   * It removes the key and does nothing else, so that whoever removes the key has done the same.
   */
  PLAIN,

  /** It gives the Pod time to end; the kubelet has it deleted then. */
  POD,

  /** It does more, or may refuse. */
  OTHER,

  /** Whatever it does: Kubernetes' garbage collector never looks at these objects. */
  NEVER
}
