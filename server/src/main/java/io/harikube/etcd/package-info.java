/**
 * The etcd v3 API over gRPC: etcd's messages and its error texts in front of the {@link
 * io.harikube.store.Store store} and the {@link io.harikube.watch.WatchStream watches}.
 *
 * <p>What a client can rely on:
 *
 * <ul>
 *   <li>A request that etcd 3.6 refuses is refused here with the same code and text, before it has
 *       changed anything. {@link io.harikube.etcd.Errors} is the only place that knows them.
 *   <li>Fields and options that are not known are passed over.
 *   <li>What a client has under way is counted, by {@link io.harikube.etcd.Traffic} and in the
 *       {@link io.harikube.store.MemoryBudget budget}, from the first byte of a request until the
 *       network has taken the last byte of the answer, so that slow, broken and hostile clients
 *       hold up themselves and not the server.
 * </ul>
 *
 * <p>Threads: the handlers run on the network's event loops and never block. What the store answers
 * by a future is sent by whoever completes it; what blocks (ranges, streams, maintenance) gets a
 * virtual thread of its own; a watch stream is served by the event loop of its connection.
 */
@NullMarked
package io.harikube.etcd;

import org.jspecify.annotations.NullMarked;
