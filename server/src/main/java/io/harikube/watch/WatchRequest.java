package io.harikube.watch;

import io.harikube.store.KeyRange;

/**
 * What a watch asks for. Source: etcd's WatchCreateRequest.
 *
 * @param watchId the id it shall have; 0 to be given one
 * @param range the keys
 * @param startRevision the first revision whose events are wanted; 0 for the one after the current
 * @param previous whether events carry the key before the change
 * @param noPut leave out events that set a key
 * @param noDelete leave out events that delete a key
 * @param progressNotify tell the revision from time to time while there are no events
 * @param fragment split what is larger than a message may be
 * @param selection leave out events by the attributes of the values
 */
public record WatchRequest(
    long watchId,
    KeyRange range,
    long startRevision,
    boolean previous,
    boolean noPut,
    boolean noDelete,
    boolean progressNotify,
    boolean fragment,
    Selection selection) {

  /** A watch that wants all events of its range. */
  public WatchRequest(
      long watchId,
      KeyRange range,
      long startRevision,
      boolean previous,
      boolean noPut,
      boolean noDelete,
      boolean progressNotify,
      boolean fragment) {
    this(
        watchId,
        range,
        startRevision,
        previous,
        noPut,
        noDelete,
        progressNotify,
        fragment,
        Selection.ALL);
  }
}
