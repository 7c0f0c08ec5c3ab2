/**
 * The storage contract: what a store promises to whoever serves it, in values and interfaces,
 * without SQL and without gRPC.
 *
 * <p>The vocabulary is etcd's. A store holds keys and values (both plain bytes, compared byte by
 * byte, unsigned) and a history of them that is numbered by <em>revisions</em>: an empty store is
 * at revision 1, every transaction that changes something gets the next number, all of its changes
 * share it, and a transaction that changes nothing gets none.
 *
 * <p>What every implementation keeps:
 *
 * <ul>
 *   <li>An operation is acknowledged after it is durable, and becomes visible to watchers after
 *       that, in the order of revisions.
 *   <li>The data and the revision of one answer come from one snapshot.
 *   <li>Compaction changes no answer at or above the compacted revision.
 *   <li>What is refused ({@link StoreException}) has changed nothing.
 * </ul>
 */
@NullMarked
package io.harikube.store;

import org.jspecify.annotations.NullMarked;
