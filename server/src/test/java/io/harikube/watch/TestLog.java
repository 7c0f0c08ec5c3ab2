package io.harikube.watch;

import io.harikube.store.Bytes;
import io.harikube.store.Commit;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The contract of an event log, kept in memory. */
final class TestLog implements EventLog {
  private final List<Event> events = new ArrayList<>();
  private final Map<Bytes, KeyValue> live = new HashMap<>();
  private BooleanSupplier failure = () -> false;
  private UnaryOperator<Event> tamper = UnaryOperator.identity();
  private @Nullable Consumer<Commit> listener;
  private long revision = 1;
  private volatile long published = 1;
  private long compacted;
  private int reads;
  private int checks;

  /** One change: a null value deletes. */
  record Change(String key, @Nullable String value) {}

  static Change put(String key, String value) {
    return new Change(key, value);
  }

  static Change delete(String key) {
    return new Change(key, null);
  }

  /** Commits transactions together; those that change nothing get no revision. */
  void commit(boolean tooLarge, List<List<Change>> transactions) {
    Commit commit;
    Consumer<Commit> to;
    synchronized (this) {
      long first = revision + 1;
      List<Event> changed = new ArrayList<>();
      for (List<Change> changes : transactions) {
        int before = changed.size();
        for (Change change : changes) {
          apply(change, revision + 1, changed);
        }
        if (changed.size() > before) {
          revision++;
        }
      }
      if (changed.isEmpty()) {
        return;
      }
      events.addAll(changed);
      commit = new Commit(first, revision, tooLarge ? null : changed.stream().map(tamper).toList());
      to = listener;
    }
    if (to != null) {
      to.accept(commit);
    }
    published = commit.lastRevision();
  }

  void commit(Change... changes) {
    commit(false, List.of(List.of(changes)));
  }

  private void apply(Change change, long at, List<Event> changed) {
    Bytes key = Bytes.of(change.key);
    KeyValue previous = live.get(key);
    if (change.value == null) {
      if (previous != null) {
        live.remove(key);
        changed.add(new Event(KeyValue.deleted(key, at), previous));
      }
      return;
    }
    KeyValue kv =
        new KeyValue(
            key,
            previous == null ? at : previous.createRevision(),
            at,
            previous == null ? 1 : previous.version() + 1,
            Bytes.of(change.value),
            0);
    live.put(key, kv);
    changed.add(new Event(kv, previous));
  }

  synchronized void compact(long at) {
    compacted = Math.max(compacted, at);
  }

  /** Makes reads fail whenever {@code newFailure} says so. */
  synchronized void failWhen(BooleanSupplier newFailure) {
    failure = newFailure;
  }

  /** Changes events on their way out. */
  synchronized void tamper(UnaryOperator<Event> newTamper) {
    tamper = newTamper;
  }

  /** The revision that the listener knows of, as clients see it. */
  long published() {
    return published;
  }

  synchronized long revision() {
    return revision;
  }

  synchronized int reads() {
    return reads;
  }

  synchronized int checks() {
    return checks;
  }

  synchronized long compacted() {
    return compacted;
  }

  synchronized int size() {
    return events.size();
  }

  synchronized Event event(int i) {
    return events.get(i);
  }

  /** The number of the first event of {@code from} or a later revision. */
  synchronized int indexOf(long from) {
    int low = 0;
    int high = events.size();
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (events.get(middle).revision() < from) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  @Override
  public synchronized long subscribe(Consumer<Commit> newListener) {
    listener = newListener;
    return revision;
  }

  @Override
  public synchronized Page read(KeyRange range, long from, long to, boolean previous, int max) {
    reads++;
    if (failure.getAsBoolean()) {
      throw new StoreException(Reason.UNAVAILABLE, "the database is away");
    }
    if (from < compacted) {
      throw new StoreException(Reason.COMPACTED, "compacted");
    }
    if (to > revision) {
      throw new IllegalArgumentException("revision " + to + " is in the future");
    }
    List<Event> page = new ArrayList<>();
    long through = from - 1;
    long bytes = 0;
    for (int i = indexOf(from); i < events.size() && events.get(i).revision() <= to; ) {
      long current = events.get(i).revision();
      List<Event> wanted = new ArrayList<>();
      for (; i < events.size() && events.get(i).revision() == current; i++) {
        Event event = events.get(i);
        if (range.contains(event.kv().key())) {
          wanted.add(previous ? event : new Event(event.kv(), null));
        }
      }
      long more = wanted.stream().mapToLong(Event::weight).sum();
      if (!page.isEmpty() && bytes + more > max) {
        return new Page(page, through);
      }
      page.addAll(wanted);
      bytes += more;
      through = current;
    }
    return new Page(page.stream().map(tamper).toList(), to);
  }

  @Override
  public synchronized long compactedRevision() {
    checks++;
    if (failure.getAsBoolean()) {
      throw new StoreException(Reason.UNAVAILABLE, "the database is away");
    }
    return compacted;
  }
}
