package io.harikube.etcd;

import io.grpc.Attributes;
import io.grpc.ServerCall;
import io.grpc.ServerTransportFilter;
import io.harikube.store.MemoryBudget;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The account of what all clients have under way, from the first byte of a request to the last byte
 * of its answer: {@link Peer} by peer and {@link Flow} by flow.
 *
 * <p>Its sums are of all connections; everything else is counted where it happens, under the lock
 * of one connection. Limits are such that no client needs to be told from another: while a sum is
 * at its limit, whoever has much himself is refused, and whoever has little is not.
 */
final class Traffic extends ServerTransportFilter {
  private static final Attributes.Key<Peer> PEER = Attributes.Key.create("harikube-peer");

  final Limits limits;
  final MemoryBudget budget;
  final AtomicInteger openCalls = new AtomicInteger();
  final AtomicInteger requests = new AtomicInteger();
  final Lane.Kind reading;
  final Lane.Kind changing;
  final AtomicLong requestBytes = new AtomicLong();
  final AtomicLong unfinishedBytes = new AtomicLong();
  private final EventLoops loops;
  private final Set<Peer> peers = ConcurrentHashMap.newKeySet();
  private volatile long now = System.nanoTime();

  Traffic(Limits limits, MemoryBudget budget, EventLoops loops) {
    this.limits = limits;
    this.reading = new Lane.Kind(limits.runningReads(), 4);
    this.changing = new Lane.Kind(limits.runningChanges(), 32);
    this.budget = budget;
    this.loops = loops;
  }

  @Override
  public Attributes transportReady(Attributes attributes) {
    Peer peer = new Peer(this, loops.current());
    peers.add(peer);
    return attributes.toBuilder().set(PEER, peer).build();
  }

  /**
   * Also called for what has never become ready, such as a connection that was closed before it
   * said anything; that has no attributes. What this throws would keep all of it for ever.
   */
  @Override
  public void transportTerminated(@Nullable Attributes attributes) {
    Peer peer = attributes == null ? null : attributes.get(PEER);
    if (peer != null) {
      peer.left();
      forget(peer);
    }
  }

  /** A peer that has left and has nothing under way any more need not be looked at. */
  void forget(Peer peer) {
    if (peer.isOver()) {
      peers.remove(peer);
    }
  }

  /** The peer whose call this is. */
  Peer peer(ServerCall<?, ?> call) {
    Peer peer = call.getAttributes().get(PEER);
    // Without a filter, as in tests, each call is a client of its own.
    return peer == null ? new Peer(this, loops.current()) : peer;
  }

  /** A time in nanoseconds that is right to a second. */
  long now() {
    return now;
  }

  /** Looks for what has got stuck. To be called each second, by one thread at a time. */
  void sweep() {
    now = System.nanoTime();
    Duration patience = limits.patience();
    // Who takes nothing of a large answer is given less time while others wait for its memory.
    Duration large = budget.waiting() > 0 ? patience.dividedBy(6) : patience;
    for (Peer peer : peers) {
      peer.sweep(now, patience.toNanos(), large.toNanos());
      forget(peer);
    }
  }

  /** Makes room for messages that have come to their end by giving up one that has not. */
  void dropUnfinished() {
    @Nullable Peer most = null;
    for (Peer peer : peers) {
      if (most == null || peer.unfinishedBytes() > most.unfinishedBytes()) {
        most = peer;
      }
    }
    if (most != null) {
      most.dropOldest();
    }
  }
}
