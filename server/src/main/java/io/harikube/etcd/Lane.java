package io.harikube.etcd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Where the requests of one connection wait for being handed to the store, each lane for one kind
 * of them. All lanes of a kind together hand over about as much at the same time as there is use
 * for: the more others have running, the less a lane may have, though always a little. So a request
 * waits for those of its own connection, and not for all that others have asked. A request that is
 * much work {@link #weight counts} more than once.
 *
 * <p>Guarded by its own lock, under which no other is taken.
 */
final class Lane {
  /** What is running in all lanes of a kind. */
  static final class Kind {
    private final int most;
    private final int few;
    private final AtomicInteger running = new AtomicInteger();

    /** Lanes of which nothing runs because of what runs in others. */
    private final Queue<Lane> starved = new ConcurrentLinkedQueue<>();

    /**
     * @param most how many may run in all lanes; in one alone it is half of that
     * @param few how many may run in each lane, whatever runs in others; not what counts more often
     *     than that
     */
    Kind(int most, int few) {
      this.most = most;
      this.few = few;
    }
  }

  /** What a request that counts once may have, in bytes. */
  private static final int LIGHT_BYTES = 8 << 10;

  /** What a range counts more than a key does. */
  private static final int SCAN = 4;

  private record Waiting(int weight, Runnable task) {}

  private final Kind kind;
  private final Peer peer;
  private final ArrayDeque<Waiting> waiting = new ArrayDeque<>();
  private int running;
  private boolean starved;

  Lane(Kind kind, Peer peer) {
    this.kind = kind;
    this.peer = peer;
  }

  /**
   * How often a request counts.
   *
   * @param scans how many ranges the store has to be asked for
   */
  static int weight(int requestBytes, int scans) {
    return 1 + requestBytes / LIGHT_BYTES + SCAN * scans;
  }

  /** Runs a task on the event loop, which is this thread: now, or after others have ended. */
  void run(int weight, Runnable task) {
    boolean now;
    synchronized (this) {
      now = waiting.isEmpty() && mayRun(weight);
      if (now) {
        begin(weight);
      } else {
        waiting.add(new Waiting(weight, task));
      }
    }
    if (now) {
      task.run();
    } else {
      goOn();
    }
  }

  private boolean mayRun(int weight) {
    return (running < kind.few && weight <= kind.few) || running < kind.most - kind.running.get();
  }

  private void begin(int weight) {
    running += weight;
    kind.running.addAndGet(weight);
  }

  /** A task has ended. */
  void ended(int weight) {
    kind.running.addAndGet(-weight);
    boolean more;
    synchronized (this) {
      running -= weight;
      more = !waiting.isEmpty();
    }
    if (more) {
      goOn();
    }
    Lane other = kind.starved.poll();
    if (other != null) {
      other.fed();
    }
  }

  /** It is not among those that are starved any more. */
  private void fed() {
    synchronized (this) {
      starved = false;
    }
    goOn();
  }

  /** Runs what may run of what waits. */
  private void goOn() {
    boolean again;
    do {
      List<Runnable> next = new ArrayList<>();
      synchronized (this) {
        while (!waiting.isEmpty() && mayRun(waiting.element().weight)) {
          Waiting first = waiting.remove();
          next.add(first.task);
          begin(first.weight);
        }
        boolean starves = !waiting.isEmpty() && running == 0 && !starved;
        if (starves) {
          starved = true;
          kind.starved.add(this);
        }
        // Whoever ended before it was among them has not seen it.
        again = starves && kind.running.get() < kind.most;
      }
      next.forEach(peer::onLoop);
    } while (again);
  }
}
