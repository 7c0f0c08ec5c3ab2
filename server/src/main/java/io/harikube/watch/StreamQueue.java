package io.harikube.watch;

import io.harikube.store.Event;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The messages that wait for one client, in the order in which it gets them.
 *
 * <p>Batches of one watch that follow each other become one message, up to a size. A batch that is
 * larger than a message may be (then it is of one revision) is sent in pieces with nothing between
 * them, because clients put pieces together until one says that it is the last; for the same reason
 * the rest of the pieces is sent even if the watch has been canceled.
 *
 * <p>A message is counted until the next one is asked for, since whoever takes them does that when
 * the client has taken the one before: what the network holds is memory as well.
 *
 * <p>Guarded by the lock of its stream.
 */
final class StreamQueue {
  private final WatchOptions options;
  private final WatchStats stats;
  private final ArrayDeque<Entry> entries = new ArrayDeque<>();
  private @Nullable Pieces pieces;
  private long bytes;

  /** What of {@link #bytes} has been polled and may not have been sent yet. */
  private long polled;

  /** What a message without events costs, in bytes. */
  private static final int TOLD_BYTES = 256;

  private sealed interface Entry {}

  private record Told(WatchMessage message) implements Entry {}

  private record Progressed(Watcher watcher, long revision) implements Entry {}

  private record Delivered(Watcher watcher, Batch batch, long through) implements Entry {}

  /** What is left of a batch that is sent in pieces. */
  private static final class Pieces {
    final Delivered whole;
    final long maxBytes;
    int sent;

    Pieces(Delivered whole, long maxBytes) {
      this.whole = whole;
      this.maxBytes = maxBytes;
    }
  }

  StreamQueue(WatchOptions options, WatchStats stats) {
    this.options = options;
    this.stats = stats;
  }

  /** The weight of the messages in the queue, and of the one that was polled last. */
  long bytes() {
    return bytes;
  }

  boolean isEmpty() {
    return entries.isEmpty() && pieces == null;
  }

  void add(WatchMessage message) {
    entries.add(new Told(message));
    came(TOLD_BYTES);
  }

  void addProgress(Watcher watcher, long revision) {
    watcher.progressQueued = true;
    entries.add(new Progressed(watcher, revision));
    came(TOLD_BYTES);
  }

  /**
   * Adds events.
   *
   * @param through the revision up to which these are all events of the watch
   */
  void add(Watcher watcher, Batch batch, long through) {
    entries.add(new Delivered(watcher, batch, through));
    came(batch.bytes());
    stats.pendingEvents.add(batch.events().size());
  }

  /** The next message, if there is one. Whoever asks for it has sent the one before. */
  @Nullable WatchMessage poll() {
    sent();
    WatchMessage message = null;
    while (message == null) {
      if (pieces != null) {
        return piece(pieces);
      }
      Entry entry = entries.poll();
      if (entry == null) {
        sent();
        return null;
      }
      message =
          switch (entry) {
            case Told(WatchMessage told) -> {
              polled += TOLD_BYTES;
              yield told;
            }
            case Progressed(Watcher watcher, long revision) -> {
              polled += TOLD_BYTES;
              watcher.progressQueued = false;
              yield watcher.muted ? null : new WatchMessage.Progress(watcher.id, revision);
            }
            case Delivered delivered -> events(delivered);
          };
    }
    return message;
  }

  void clear() {
    for (Entry entry : entries) {
      if (entry instanceof Delivered(_, Batch batch, _)) {
        stats.pendingEvents.add(-batch.events().size());
      }
    }
    entries.clear();
    if (pieces != null) {
      stats.pendingEvents.add(pieces.sent - pieces.whole.batch.events().size());
      pieces = null;
    }
    polled = 0;
    went(bytes);
  }

  private @Nullable WatchMessage events(Delivered delivered) {
    Watcher watcher = delivered.watcher;
    Batch batch = delivered.batch;
    if (watcher.muted) {
      left(batch.bytes(), batch.events().size());
      return null;
    }
    long maxBytes = watcher.request.fragment() ? options.messageBytes() : options.maxMessageBytes();
    if (batch.bytes() > maxBytes && batch.events().size() > 1) {
      pieces = new Pieces(delivered, maxBytes);
      return piece(pieces);
    }
    List<Event> events = batch.events();
    long total = batch.bytes();
    long through = delivered.through;
    while (entries.peek() instanceof Delivered more
        && more.watcher == watcher
        && total + more.batch.bytes() <= options.messageBytes()) {
      entries.remove();
      if (total == batch.bytes()) {
        events = new ArrayList<>(events);
      }
      events.addAll(more.batch.events());
      total += more.batch.bytes();
      through = more.through;
    }
    left(total, events.size());
    stats.eventsSent.add(events.size());
    return new WatchMessage.Events(watcher.id, through, events, false);
  }

  private WatchMessage piece(Pieces from) {
    List<Event> events = from.whole.batch.events();
    int end = from.sent;
    long weight = 0;
    do {
      weight += events.get(end++).weight();
    } while (end < events.size() && weight + events.get(end).weight() <= from.maxBytes);
    List<Event> piece = events.subList(from.sent, end);
    from.sent = end;
    boolean more = end < events.size();
    if (!more) {
      pieces = null;
    }
    left(weight, piece.size());
    stats.eventsSent.add(piece.size());
    return new WatchMessage.Events(from.whole.watcher.id, from.whole.through, piece, more);
  }

  private void came(long weight) {
    bytes += weight;
    stats.pendingBytes.addAndGet(weight);
  }

  private void went(long weight) {
    if (weight > 0) {
      bytes -= weight;
      stats.pendingBytes.addAndGet(-weight);
    }
  }

  private void sent() {
    went(polled);
    polled = 0;
  }

  private void left(long weight, int events) {
    polled += weight;
    stats.pendingEvents.add(-events);
  }
}
