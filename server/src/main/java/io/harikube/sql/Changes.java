package io.harikube.sql;

import java.util.Collection;
import java.util.List;

/**
 * Changes that are to be written to the database.
 *
 * @param log new rows of the log, in the order of their ids
 * @param live the last change of each key that changed: a deletion takes its row out of the table
 *     live
 */
record Changes(List<LogRow> log, Collection<LogRow> live, AttributeChanges attributes) {
  boolean isEmpty() {
    return log.isEmpty() && attributes.isEmpty();
  }
}
