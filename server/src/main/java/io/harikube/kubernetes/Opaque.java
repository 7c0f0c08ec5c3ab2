package io.harikube.kubernetes;

/**
 * A value that cannot be understood: encrypted, in another encoding, damaged, or no object at all.
 * No selector excludes it; whether it matches is for the API server to say.
 *
 * @param reason why, for logs: one of few constant texts
 */
public record Opaque(String reason) implements StoredValue {}
