package io.harikube.watch;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/** The figures of a hub, for its limits and its metrics. Safe for use by several threads. */
final class WatchStats {
  final LongAdder watchers = new LongAdder();
  final LongAdder slowWatchers = new LongAdder();
  final LongAdder pendingEvents = new LongAdder();
  final AtomicLong pendingBytes = new AtomicLong();
  final LongAdder eventsSent = new LongAdder();
  final LongAdder logReads = new LongAdder();
}
