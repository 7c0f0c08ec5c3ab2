package io.harikube.kubernetes;

/** Which objects the keys of a range belong to, or a key. */
public sealed interface Place {

  /**
   * Objects of one resource.
   *
   * @param namespace in which all of them are; empty if that is not said, or if they are in none
   */
  record Objects(Resource resource, String namespace) implements Place {}

  /** They may be of any resource, or none: nothing is known of them. */
  record Unclear() implements Place {}

  /** No objects. */
  record Elsewhere() implements Place {}
}
