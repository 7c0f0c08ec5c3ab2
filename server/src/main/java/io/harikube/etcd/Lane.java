package io.harikube.etcd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where the requests of one connection wait for being handed to the store, each lane for one kind
 * of them. All lanes of a kind together hand over about as much at the same time as there is use
 * for: the more others have running, the less a lane may have, though always a little. So a request
 * waits for those of its own connection, and not for all that others have asked. A request counts
 * as many times as it is {@link #weight large}.
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

  /** What a request that counts once may have, in bytes. */
  private static final int LIGHT_BYTES = 8 << 10;

  private record Waiting(int weight, Runnable task) {}

  private final Kind kind;
  private final Peer peer;
  private final ArrayDeque<Waiting> waiting = new ArrayDeque<>();
  private int running;

  Lane(Kind kind, Peer peer) {
    this.kind = kind;
    this.peer = peer;
  }

  /** How often a request of so many bytes counts. */
  static int weight(int requestBytes) {
    return 1 + requestBytes / LIGHT_BYTES;
  }

  /** Runs a task on the event loop, which is this thread: now, or after others have ended. */
  void run(int weight, Runnable task) {
    synchronized (this) {
      if (!waiting.isEmpty() || !mayRun()) {
        waiting.add(new Waiting(weight, task));
        return;
      }
      begin(weight);
    }
    task.run();
  }

  private boolean mayRun() {
    return running < kind.few || running < kind.most - kind.running.get();
  }

  private void begin(int weight) {
    running += weight;
    kind.running.addAndGet(weight);
  }

  /** A task has ended. */
  void ended(int weight) {
    List<Runnable> next;
    kind.running.addAndGet(-weight);
    synchronized (this) {
      running -= weight;
      if (waiting.isEmpty()) {
        return;
      }
      next = new ArrayList<>();
      while (!waiting.isEmpty() && mayRun()) {
        Waiting first = waiting.remove();
        next.add(first.task);
        begin(first.weight);
      }
    }
    next.forEach(peer::onLoop);
  }
}
