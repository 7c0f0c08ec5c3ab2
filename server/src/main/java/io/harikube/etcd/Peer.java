package io.harikube.etcd;

import io.harikube.store.MemoryBudget;
import io.netty.util.concurrent.EventExecutor;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;

/**
 * One connection of a client, and what it has under way.
 *
 * <pre>
 *   call opens ─► open ── request complete ─► admitted ─► waiting ─► running ── answered ─► gone
 *                  │ too many: refused            │ too many: refused
 * </pre>
 *
 * <p>Guarded by its own lock, which is held for a moment and under which no other is taken.
 */
final class Peer {
  /** What a peer may have, in calls, whatever others have. */
  private static final int FEW = 256;

  /** What a peer may have of requests, in bytes, whatever others have. */
  private static final long LITTLE = 4 << 20;

  /** What a waiting request takes of the heap beside its bytes. */
  private static final long REQUEST_COST = 2 << 10;

  private final Traffic traffic;
  private final EventExecutor loop;
  private final MemoryBudget.Client memory;
  private final Set<Flow<?, ?>> flows = new LinkedHashSet<>();
  private final Lane reading;
  private final Lane changing;
  private int openCalls;
  private int requests;
  private long requestBytes;
  private volatile long unfinished;
  private boolean left;

  Peer(Traffic traffic, EventExecutor loop) {
    this.traffic = traffic;
    this.loop = loop;
    this.memory = traffic.budget.client();
    this.reading = new Lane(traffic.reading, this);
    this.changing = new Lane(traffic.changing, this);
  }

  EventExecutor loop() {
    return loop;
  }

  MemoryBudget.Share share() {
    return memory.open();
  }

  /**
   * Notes a call, until {@link #closed}.
   *
   * @return whether it may stay; else it is to be ended at once
   */
  boolean open(Flow<?, ?> flow) {
    int all = traffic.openCalls.incrementAndGet();
    synchronized (this) {
      flows.add(flow);
      openCalls++;
      return all <= traffic.limits.openCalls() || openCalls <= FEW;
    }
  }

  /** The network is done with a call. */
  void closed() {
    traffic.openCalls.decrementAndGet();
    synchronized (this) {
      openCalls--;
    }
  }

  /** Nobody does anything for a call any more. */
  synchronized void forget(Flow<?, ?> flow) {
    flows.remove(flow);
  }

  /**
   * Lets a request in, until {@link #leave}.
   *
   * @return whether there is room for it
   */
  boolean admit(int bytes) {
    long cost = REQUEST_COST + bytes;
    int all = traffic.requests.incrementAndGet();
    long allBytes = traffic.requestBytes.addAndGet(cost);
    boolean room = all <= traffic.limits.requests() && allBytes <= traffic.limits.requestBytes();
    synchronized (this) {
      if (room || requests == 0 || (requests < FEW && requestBytes + cost <= LITTLE)) {
        requests++;
        requestBytes += cost;
        return true;
      }
    }
    traffic.requests.decrementAndGet();
    traffic.requestBytes.addAndGet(-cost);
    return false;
  }

  /** A request that was admitted has been answered, or refused. */
  void leave(int bytes) {
    long cost = REQUEST_COST + bytes;
    traffic.requests.decrementAndGet();
    traffic.requestBytes.addAndGet(-cost);
    synchronized (this) {
      requests--;
      requestBytes -= cost;
    }
  }

  /** Where requests of this connection wait: those that read, or those that change. */
  Lane lane(boolean reads) {
    return reads ? reading : changing;
  }

  /** Runs a task on the event loop of the connection; here, if the server is being closed. */
  void onLoop(Runnable task) {
    try {
      loop.execute(task);
    } catch (RejectedExecutionException e) {
      task.run();
    }
  }

  /** Counts bytes of messages that have not come to their end; negative ones are done with. */
  void unfinished(long bytes) {
    long all = traffic.unfinishedBytes.addAndGet(bytes);
    synchronized (this) {
      unfinished += bytes;
    }
    if (bytes > 0 && all > traffic.limits.unfinishedBytes()) {
      traffic.dropUnfinished();
    }
  }

  long unfinishedBytes() {
    return unfinished;
  }

  /** Gives up the message that is the longest under way. */
  void dropOldest() {
    Flow<?, ?> oldest = null;
    synchronized (this) {
      for (Flow<?, ?> flow : flows) {
        if (flow.unfinishedBytes() > 0
            && (oldest == null || flow.unfinishedSince() < oldest.unfinishedSince())) {
          oldest = flow;
        }
      }
    }
    if (oldest != null) {
      oldest.dropUnfinished();
    }
  }

  void sweep(long now, long patience, long patienceIfLarge) {
    List<Flow<?, ?>> all;
    synchronized (this) {
      if (flows.isEmpty()) {
        return;
      }
      all = List.copyOf(flows);
    }
    for (Flow<?, ?> flow : all) {
      flow.sweep(now, patience, patienceIfLarge);
    }
  }

  synchronized void left() {
    left = true;
  }

  synchronized boolean isOver() {
    return left && flows.isEmpty();
  }
}
