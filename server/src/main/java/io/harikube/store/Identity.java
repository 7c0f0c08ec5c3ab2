package io.harikube.store;

/**
 * Who a store is; every response header carries it.
 *
 * @param clusterId identifies the store, the same for its whole life; not 0
 * @param memberId identifies the server's place in the store; not 0
 * @param term counts the writers that the store has had: stands in for etcd's raft term
 */
public record Identity(long clusterId, long memberId, long term) {}
