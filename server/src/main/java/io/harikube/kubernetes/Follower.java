package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchRequest;
import io.harikube.watch.WatchStream;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps up with all keys of some ranges: reads them, then follows their changes by watches of one
 * stream. When a watch is lost, or what was told could not be dealt with, it begins again.
 *
 * <p>The listener is called by one thread at a time: first by the one that begins to follow, then
 * by one of its own.
 */
final class Follower implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Follower.class);
  private static final long RETRY_MILLIS = 500;
  private static final int PART_BYTES = 1 << 20;

  /**
   * Is told of the keys. What a call throws of the store's failures has everything told anew, half
   * a second later.
   */
  interface Listener {
    /** There is such a key; those that are there are told one by one, and then all together. */
    void found(KeyValue kv);

    /** These are all keys that there are: others have gone, if there were any. */
    void foundAll(Set<Bytes> keys);

    /** A key has been set or deleted. */
    void changed(Event event);

    /** Every change up to this revision has been told, and maybe some later ones. */
    default void toldUpTo(long revision) {}
  }

  private final String what;
  private final Store store;
  private final Supplier<WatchStream> watches;
  private final List<KeyRange> ranges;
  private final Listener listener;

  /** Of each range, the revision up to which everything has been told. */
  private final long[] told;

  private final Thread thread;
  private volatile boolean following;
  private volatile boolean closed;

  private Follower(
      String what,
      Store store,
      Supplier<WatchStream> watches,
      List<KeyRange> ranges,
      Listener listener) {
    this.what = what;
    this.store = store;
    this.watches = watches;
    this.ranges = List.copyOf(ranges);
    this.listener = listener;
    this.told = new long[ranges.size()];
    WatchStream first = begin();
    this.thread = Thread.ofPlatform().daemon().name(what).start(() -> loop(first));
  }

  /**
   * Tells of the keys that there are, and follows on a thread of its own.
   *
   * @param what the keys are of, for the log
   * @throws StoreException if they cannot be read
   * @throws IllegalStateException if nothing can be watched any more
   */
  static Follower follow(
      String what,
      Store store,
      Supplier<WatchStream> watches,
      List<KeyRange> ranges,
      Listener listener) {
    return new Follower(what, store, watches, ranges, listener);
  }

  private WatchStream begin() {
    list();
    WatchStream stream = watches.get();
    for (int i = 0; i < told.length; i++) {
      stream.create(
          new WatchRequest(i + 1, ranges.get(i), told[i] + 1, false, false, false, true, false));
    }
    following = true;
    return stream;
  }

  private void list() {
    Set<Bytes> found = new HashSet<>();
    for (int i = 0; i < told.length; i++) {
      told[i] = list(ranges.get(i), found);
    }
    listener.foundAll(found);
    toldUpTo();
  }

  /** Answers the revision that the keys are of. */
  private long list(KeyRange range, Set<Bytes> found) {
    long[] revision = {0};
    store.stream(
        RangeQuery.of(range),
        PART_BYTES,
        part -> {
          revision[0] = revision[0] == 0 ? part.revision() : revision[0];
          for (KeyValue kv : part.kvs()) {
            found.add(kv.key());
            listener.found(kv);
          }
        });
    return revision[0];
  }

  private void loop(WatchStream first) {
    try {
      attempt(() -> listen(first));
      while (!closed) {
        TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
        // From the keys that there are: what has been told before is not to be told once more.
        attempt(() -> listen(begin()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Something that may fail with the store. */
  private interface Attempt {
    void run() throws InterruptedException;
  }

  private void attempt(Attempt attempt) throws InterruptedException {
    try {
      attempt.run();
    } catch (StoreException | CompletionException | IllegalStateException e) {
      if (!closed) {
        LOG.warn("{} are read again: {}", what, e.getMessage());
      }
    } finally {
      following = false;
    }
  }

  /** Tells of what happens until a watch ends. */
  private void listen(WatchStream opened) throws InterruptedException {
    try (WatchStream stream = opened) {
      while (true) {
        WatchMessage message = stream.take();
        switch (message) {
          case WatchMessage.Created _ -> {}
          case WatchMessage.Events events -> {
            events.events().forEach(listener::changed);
            toldUpTo(events.watchId(), events.events().getLast().kv().modRevision());
          }
          case WatchMessage.Progress progress -> toldUpTo(progress.watchId(), progress.revision());
          case WatchMessage.Canceled _ -> {
            return;
          }
        }
      }
    }
  }

  private void toldUpTo(long watchId, long revision) {
    told[(int) watchId - 1] = revision;
    toldUpTo();
  }

  private void toldUpTo() {
    listener.toldUpTo(Arrays.stream(told).min().orElseThrow());
  }

  /**
   * Whether changes are told as they are committed, all but the last moment's. If not, they will be
   * when the keys have been read again.
   */
  boolean isFollowing() {
    return following;
  }

  /** How many streams of watches are open: they are nobody's client. */
  int streams() {
    return following ? 1 : 0;
  }

  /** How many watches are open. */
  int watches() {
    return following ? ranges.size() : 0;
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
