package io.harikube.kubernetes;

/**
 * A kind whatever the version.
 *
 * @param group empty for the core group
 */
record GroupKind(String group, String kind) {}
