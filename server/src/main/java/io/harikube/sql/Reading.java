package io.harikube.sql;

import io.harikube.store.RangeQuery;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;

/**
 * What a range is read from: a revision, in one snapshot of the database or in several.
 *
 * @param meta of the first snapshot
 * @param at the revision
 */
record Reading(Meta meta, long at) {

  /**
   * Says that the database may not be the one any more that the reading began with: a writer that
   * connects again takes it over, and it may be another copy. Not an error, so it carries no stack
   * trace.
   */
  static final class TakenOver extends RuntimeException {
    private static final long serialVersionUID = 1;

    TakenOver() {
      super(null, null, false, false);
    }
  }

  /** Begins in a snapshot; refuses a revision that cannot be read. */
  static Reading of(RangeQuery query, Meta meta) {
    RangeReader.check(query.revision(), meta.revision(), meta.compacted());
    return new Reading(meta, query.revision() > 0 ? query.revision() : meta.revision());
  }

  /** Goes on in another snapshot; refuses if what it began with is not there any more. */
  void goOn(Meta later) {
    if (later.epoch() != meta.epoch()) {
      throw new TakenOver();
    }
    if (at < later.compacting()) {
      throw new StoreException(
          Reason.COMPACTED, "revision " + at + " was compacted while it was read");
    }
    if (at > later.revision()) {
      throw new StoreException(
          Reason.UNAVAILABLE, "the database has lost revision " + at + " while it was read");
    }
  }

  /**
   * Lets others read who have waited for a virtual thread's processor: nobody takes it from one
   * that does not wait. Ends the reading if nobody waits for it any more.
   */
  @SuppressWarnings("ThreadPriorityCheck") // It is not for what is right, but for what is fair.
  static void takeTurns() {
    requireWanted();
    Thread.yield();
  }

  /** Ends the reading between two snapshots if nobody waits for it any more. */
  static void requireWanted() {
    if (Thread.currentThread().isInterrupted()) {
      throw new StoreException(Reason.UNAVAILABLE, "the request was given up");
    }
  }
}
