package io.harikube.etcd;

import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchRequest;
import io.harikube.watch.WatchStream;
import java.util.List;
import java.util.function.Consumer;

/** One watch on behalf of a call that waits for keys; for one thread. It ends with the call. */
final class KeyWatch implements AutoCloseable {
  private final WatchStream stream;
  private final Consumer<KeyWatch> onClose;

  KeyWatch(
      WatchStream stream,
      KeyRange range,
      long startRevision,
      Answer<?> call,
      Consumer<KeyWatch> onClose) {
    this.stream = stream;
    this.onClose = onClose;
    call.whenClosed(stream::close);
    stream.create(new WatchRequest(0, range, startRevision, false, false, false, false, false));
  }

  /** The next events, and the revision that was current with them. */
  record Step(long revision, List<Event> events) {}

  /**
   * Waits for the next events.
   *
   * @throws InterruptedException if the call has ended, or the watch was closed
   * @throws io.grpc.StatusRuntimeException if the watch cannot go on, as after a compaction
   */
  Step next() throws InterruptedException {
    while (true) {
      switch (stream.take()) {
        case WatchMessage.Events events -> {
          return new Step(events.revision(), events.events());
        }
        case WatchMessage.Canceled canceled ->
            throw RequestCheck.refuse(
                canceled.compactRevision() > 0 ? Errors.COMPACTED : Errors.WATCH_LOST);
        case WatchMessage.Created _, WatchMessage.Progress _ -> {}
      }
    }
  }

  @Override
  public void close() {
    stream.close();
    onClose.accept(this);
  }
}
