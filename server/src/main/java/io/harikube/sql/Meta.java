package io.harikube.sql;

import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;

/**
 * The one row of the table meta.
 *
 * @param revision the current revision
 * @param compacted the revision below which nothing may be read any more; -1 before the first
 *     compaction
 * @param compacting the revision up to which superseded rows are being deleted or have been; reads
 *     that began before the compaction may go on at or above it
 * @param compactCursor the id from which on the deletion goes on
 * @param epoch the writer that may commit
 * @param indexed the revision from which on the attributes of all keys are known; -1 if they are
 *     being gathered yet
 * @param commits counts commits; tells whether a commit whose answer was lost took place
 */
record Meta(
    long revision,
    long compacted,
    long compacting,
    long compactCursor,
    long epoch,
    long commits,
    long clusterId,
    long memberId,
    long indexed)
    implements Readers.Answer {

  /** How far a store goes ahead whose past is not the one that its clients know. */
  static final long BUMP = 1_000_000_000;

  static final String COLUMNS =
      "revision, compacted, compacting, compact_cursor, epoch, commits, cluster_id, member_id,"
          + " indexed";

  static final String SELECT = "SELECT " + COLUMNS + " FROM meta";

  /** Sets what a commit changes. Its parameters are {@link #changing}, and the epoch. */
  static final String UPDATE =
      "UPDATE meta SET revision = ?, compacted = ?, compacting = ?, compact_cursor = ?,"
          + " commits = ?, indexed = ?";

  static Meta read(Session session) throws SQLException {
    try (ResultSet rows = session.prepare(SELECT).executeQuery()) {
      return read(rows);
    }
  }

  /** What {@link #SELECT} has answered. */
  static Meta read(ResultSet rows) throws SQLException {
    if (!rows.next()) {
      throw new SQLException("the table meta is empty");
    }
    return new Meta(
        rows.getLong(1),
        rows.getLong(2),
        rows.getLong(3),
        rows.getLong(4),
        rows.getLong(5),
        rows.getLong(6),
        rows.getLong(7),
        rows.getLong(8),
        rows.getLong(9));
  }

  /**
   * The store as it goes on at a later revision, because clients may know revisions that it does
   * not have: those of the store that it is a copy of, or those of commits that were lost.
   *
   * <p>Everything below counts as compacted, so that whoever goes by an earlier revision is told to
   * read anew. What is superseded is deleted from the cursor on, as after a stop in the middle of a
   * compaction: the compactor is to be asked for it, or does so when the store is opened.
   *
   * @param to at least two above the highest revision that anybody may know: a watch for what comes
   *     after that one has missed something, too
   */
  Meta bumped(long to) {
    if (to < revision + 2 || to > Ids.MAX_REVISION) {
      throw new IllegalArgumentException("no way from revision " + revision + " to " + to);
    }
    return new Meta(to, to, to, compactCursor, epoch, commits, clusterId, memberId, indexed);
  }

  /** The same after a number of commits. */
  Meta withCommits(long count) {
    return new Meta(
        revision, compacted, compacting, compactCursor, epoch, count, clusterId, memberId, indexed);
  }

  /** The parameters of {@link #UPDATE}. */
  List<Long> changing() {
    return List.of(revision, compacted, compacting, compactCursor, commits, indexed);
  }

  /** Writes what a commit changes; false if another writer has the epoch. */
  boolean write(Session session) throws SQLException {
    PreparedStatement update = session.prepare(UPDATE + " WHERE epoch = ?");
    int parameter = 1;
    for (long value : changing()) {
      update.setLong(parameter++, value);
    }
    update.setLong(parameter, epoch);
    return update.executeUpdate() == 1;
  }
}
