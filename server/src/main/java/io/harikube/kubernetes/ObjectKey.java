package io.harikube.kubernetes;

/**
 * What a key of the API server names.
 *
 * @param namespace empty if there is none in the key. For the name and the namespace that selectors
 *     ask for, the object counts.
 */
public record ObjectKey(Resource resource, String namespace, String name) {}
