package io.harikube.store;

import java.util.List;

/**
 * A lease.
 *
 * @param id the id, not 0
 * @param grantedTtl the time to live it was granted, in seconds
 * @param expiresAt when it expires, in milliseconds since 1970 by the store's clock
 * @param keys the keys that are attached to it, in order; empty unless they were asked for
 */
public record Lease(long id, long grantedTtl, long expiresAt, List<Bytes> keys) {}
