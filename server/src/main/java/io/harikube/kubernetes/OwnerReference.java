package io.harikube.kubernetes;

/**
 * One of the owners of an object.
 *
 * @param uid the identity of the owner; the rest only says where it is
 */
public record OwnerReference(
    String apiVersion,
    String kind,
    String name,
    String uid,
    boolean controller,
    boolean blockOwnerDeletion) {}
