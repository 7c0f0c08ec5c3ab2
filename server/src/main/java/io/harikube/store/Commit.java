package io.harikube.store;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one commit of the store made durable.
 *
 * @param firstRevision the first revision of the commit
 * @param lastRevision the last one; the store's current revision from now on
 * @param events all events of these revisions, in order; null if there were too many to keep in
 *     memory: then they are read from the log
 * @param jump whether this is no commit but a break: the database was found to have lost commits,
 *     everything before {@code firstRevision} is compacted, and who watches has to begin anew
 */
public record Commit(
    long firstRevision, long lastRevision, @Nullable List<Event> events, boolean jump) {

  public Commit(long firstRevision, long lastRevision, @Nullable List<Event> events) {
    this(firstRevision, lastRevision, events, false);
  }

  /** The store goes on at {@code revision}: what has become of the time before is not known. */
  public static Commit jump(long revision) {
    return new Commit(revision, revision, List.of(), true);
  }

  /** Without the events, which have values in them. */
  @Override
  public String toString() {
    return "revisions " + firstRevision + " to " + lastRevision;
  }
}
