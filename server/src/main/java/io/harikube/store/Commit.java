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
 */
public record Commit(long firstRevision, long lastRevision, @Nullable List<Event> events) {}
