package io.harikube.watch;

import io.harikube.store.Event;
import java.util.List;

/** What a watch stream tells its client, in order. */
public sealed interface WatchMessage {

  /** The watch. */
  long watchId();

  /** The revision for the response header. */
  long revision();

  /** The watch has been made. */
  record Created(long watchId, long revision) implements WatchMessage {}

  /**
   * Events, in order; never a part of a revision, unless {@code fragment} says that more of it
   * follows.
   */
  record Events(long watchId, long revision, List<Event> events, boolean fragment)
      implements WatchMessage {}

  /**
   * Every event of the watch up to this revision has been sent; watch -1 stands for all of the
   * stream.
   */
  record Progress(long watchId, long revision) implements WatchMessage {}

  /**
   * The watch has ended.
   *
   * @param created whether this also answers the request to create it, which failed
   * @param compactRevision the compacted revision, if the watch ended because it needs an older
   *     one; else 0
   * @param reason why it ended; empty if the client asked for it, or for a compaction
   */
  record Canceled(long watchId, long revision, boolean created, long compactRevision, String reason)
      implements WatchMessage {}
}
