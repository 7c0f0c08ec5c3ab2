package io.harikube.store;

/**
 * The state of a store.
 *
 * @param revision the current revision
 * @param compactedRevision the compacted revision, 0 if there was no compaction
 * @param size the bytes that the database takes
 * @param sizeInUse the bytes of it that are in use
 * @param commits the number of commits so far: stands in for etcd's raft index
 */
public record Status(
    long revision, long compactedRevision, long size, long sizeInUse, long commits) {}
