/**
 * Watches: from the commits of the writer, and from the log, to one ordered queue for each client.
 *
 * <p>What it promises, to every watch:
 *
 * <ul>
 *   <li>Every event from its start on, once, in order; a revision is one message (in pieces, with
 *       nothing between them, if it is too large for one).
 *   <li>A revision that a message speaks of, be it of events or of progress, comes after all events
 *       of the watch up to it.
 *   <li>It ends when its client wants, when what it needs has been compacted away, or when it
 *       cannot be served; never because it is slow, nor because the database is away for a while.
 * </ul>
 *
 * <p>What carries the load:
 *
 * <ul>
 *   <li>{@link io.harikube.watch.Dispatcher} is the one place where it is known what every live
 *       watch has got. Watches join there, between two slices of events, so that there is no gap
 *       between what was read for them and what comes, and no list of events that wait for them.
 *   <li>{@link io.harikube.watch.RecentEvents} keeps the latest events once for all: clients that
 *       come back together do not go to the database together.
 *   <li>{@link io.harikube.watch.StreamWatchers} turns what does not fit into a queue into a watch
 *       that is behind; such a watch holds no events, and is read for in turn, at the pace of its
 *       client ({@link io.harikube.watch.CatchUp}).
 *   <li>{@link io.harikube.watch.WatcherIndex} makes an event cost the watches that want it.
 * </ul>
 *
 * <p>Where it differs from etcd: a request for progress that cannot be answered yet is answered
 * later instead of dropped, and never with a revision from before the request; the events that wait
 * for a watch when its client cancels it are dropped; the id of a watch that was compacted away is
 * free again at once; a revision of more than 64 MiB is sent in pieces to everyone; the revision of
 * a message is never beyond what the watch has been sent, so that a client may resume from it.
 */
@NullMarked
package io.harikube.watch;

import org.jspecify.annotations.NullMarked;
