package io.harikube.etcd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where the requests of one connection wait for being handed to the store, each lane for one kind
 * of them. All lanes of a kind together hand over about as many at the same time as there is use
 * for: the more others have running, the fewer a lane may have, though always a few. So a request
 * waits for those of its own connection, and not for all that others have asked.
 *
 * <p>Guarded by its own lock, under which no other is taken.
 */
final class Lane {
  /** What is running in all lanes of a kind. */
  static final class Kind {
    private final int most;
    private final int few;
    private final AtomicInteger running = new AtomicInteger();

    /**
     * @param most how many may run in all lanes; in one alone it is half of that
     * @param few how many may run in each lane, whatever runs in others
     */
    Kind(int most, int few) {
      this.most = most;
      this.few = few;
    }
  }

  private final Kind kind;
  private final Peer peer;
  private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();
  private int running;

  Lane(Kind kind, Peer peer) {
    this.kind = kind;
    this.peer = peer;
  }

  /** Runs a task on the event loop, which is this thread: now, or after others have ended. */
  void run(Runnable task) {
    synchronized (this) {
      if (!mayRun()) {
        waiting.add(task);
        return;
      }
      begin();
    }
    task.run();
  }

  private boolean mayRun() {
    return running < kind.few || running < kind.most - kind.running.get();
  }

  private void begin() {
    running++;
    kind.running.incrementAndGet();
  }

  /** A task has ended. */
  void ended() {
    List<Runnable> next;
    kind.running.decrementAndGet();
    synchronized (this) {
      running--;
      if (waiting.isEmpty()) {
        return;
      }
      next = new ArrayList<>();
      while (!waiting.isEmpty() && mayRun()) {
        next.add(waiting.remove());
        begin();
      }
    }
    next.forEach(peer::onLoop);
  }
}
