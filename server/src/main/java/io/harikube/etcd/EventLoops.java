package io.harikube.etcd;

import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.EventExecutorGroup;

/** Finds the event loop that a call is served by; the handlers of gRPC run on it. */
final class EventLoops {
  private final EventExecutorGroup loops;

  EventLoops(EventExecutorGroup loops) {
    this.loops = loops;
  }

  /** That of the calling thread; any, if that is none. It does one thing after the other. */
  EventExecutor current() {
    for (EventExecutor loop : loops) {
      if (loop.inEventLoop()) {
        return loop;
      }
    }
    return loops.next();
  }
}
