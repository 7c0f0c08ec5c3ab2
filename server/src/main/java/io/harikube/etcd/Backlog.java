package io.harikube.etcd;

import java.util.concurrent.atomic.AtomicLong;

/**
 * The bytes of the changes that wait for the store: as many as the limit, and then they are
 * refused, as etcd refuses them when too many wait.
 */
final class Backlog {
  private final long limit;
  private final AtomicLong bytes = new AtomicLong();

  Backlog(long limit) {
    this.limit = limit;
  }

  /** Lets a change in. It leaves with {@link #leave}. */
  void enter(long size) {
    // A change that is alone may be larger than the limit.
    if (bytes.addAndGet(size) > limit && bytes.get() > size) {
      bytes.addAndGet(-size);
      throw RequestCheck.refuse(Errors.TOO_MANY_REQUESTS);
    }
  }

  void leave(long size) {
    bytes.addAndGet(-size);
  }

  long bytes() {
    return bytes.get();
  }
}
