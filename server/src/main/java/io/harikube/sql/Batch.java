package io.harikube.sql;

import static java.util.Objects.requireNonNull;

import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import io.harikube.store.StoreMetrics;
import io.harikube.store.TaskRules;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The state of the store as one database transaction of the writer sees it: what the database
 * holds, and on top of it the changes that have been made but not yet written.
 *
 * <p>The keys that transactions name are read at once beforehand, changes are gathered and written
 * at once afterwards: a batch of any size costs a handful of statements. Only an operation on a
 * range of keys needs the changes written before it can ask the database.
 *
 * <p>Nothing outside of the batch changes before its {@link Effects} are done: a batch that comes
 * to nothing is thrown away, and what it was to do is done in another.
 *
 * <p>For the writer's thread alone.
 */
final class Batch {
  private static final int CHUNK = 500;

  private final Dialect dialect;
  private final Meta meta;

  /** Keys as they are now; all keys with unwritten changes are here. */
  private final Known known;

  private final Map<Long, Boolean> leases = new HashMap<>();
  private final AttributeChanges attributes = new AttributeChanges();
  private final List<LogRow> unwritten = new ArrayList<>();
  private final Map<Bytes, LogRow> unwrittenLive = new LinkedHashMap<>();

  private final Effects effects = new Effects();
  private @Nullable Session session;
  private Runnable ready = () -> {};
  private final AttributeReader reader;
  private final TaskRules rules;
  private final BatchTasks tasks;
  private final BatchEvents events;
  private long revision;
  private long compacted;
  private long compacting;
  private long compactCursor;
  private long indexed;
  private boolean hasAttributes;
  private boolean hasWatched;
  private int changes;
  private int writtenRows;
  private boolean dirty;

  /**
   * @param reader is told of the keys that are changed
   * @param rules say which tasks the changes make necessary
   * @param ids those of the tasks that were given before
   * @param present which attributes the store has
   */
  Batch(
      Dialect dialect,
      AttributeReader reader,
      TaskRules rules,
      BatchTasks.Ids ids,
      Meta meta,
      int eventBytes,
      Present present) {
    this.tasks = new BatchTasks(ids);
    this.hasAttributes = present.any;
    this.hasWatched = present.watched;
    this.dialect = dialect;
    this.reader = reader;
    this.rules = rules;
    this.known = new Known(dialect);
    this.meta = meta;
    this.events = new BatchEvents(eventBytes);
    this.revision = meta.revision();
    this.compacted = meta.compacted();
    this.compacting = meta.compacting();
    this.compactCursor = meta.compactCursor();
    this.indexed = meta.indexed();
  }

  /** For reading alone. */
  static Batch ofReader(Dialect dialect, Meta meta) {
    return new Batch(
        dialect,
        AttributeReader.NONE,
        TaskRules.NONE,
        new BatchTasks.Ids(),
        meta,
        0,
        new Present(false, false));
  }

  /**
   * Which attributes the keys of a store may have.
   *
   * @param any false only if no key has any
   * @param watched false only if no key has one that rules are told of
   */
  record Present(boolean any, boolean watched) {}

  /** The transaction of the batch has begun on this connection. */
  void begin(Session newSession) {
    session = newSession;
  }

  Session session() {
    return requireNonNull(session);
  }

  /** Something is counted once the batch has been committed. */
  void count(StoreMetrics.Count what, long times) {
    effects.count(what, times);
  }

  /** Something is done once the batch has been committed, by the writer's thread. */
  void afterCommit(Runnable effect) {
    effects.add(effect);
  }

  /** What follows the batch. */
  Effects effects() {
    return effects;
  }

  /** The current revision, the one of the last transaction that is complete. */
  long revision() {
    return revision;
  }

  /** The number of the commit that this batch becomes, see {@link Meta#commits}. */
  long commit() {
    return meta.commits() + 1;
  }

  /** The revision that an operation within the running transaction sees. */
  long seen() {
    return changes == 0 ? revision : revision + 1;
  }

  long compacted() {
    return compacted;
  }

  void setCompacted(long newCompacted) {
    compacted = newCompacted;
    dirty = true;
  }

  long compactCursor() {
    return compactCursor;
  }

  /** Notes how far the compaction is going and has got. */
  void setCompacting(long target, long cursor) {
    compacting = Math.max(compacting, target);
    compactCursor = cursor;
    dirty = true;
  }

  /** Notes that from now on the attributes of all keys are known. */
  void setIndexed() {
    indexed = revision;
    dirty = true;
  }

  /** Says that something other than a key has been written. */
  void markDirty() {
    dirty = true;
  }

  /** Whether there is anything to commit. */
  boolean isDirty() {
    return dirty;
  }

  /** How many rows of the log this batch has written. */
  int writtenRows() {
    return writtenRows;
  }

  /** All events of the batch; null if they are too many to keep, or too large. */
  @Nullable List<Event> events() {
    return events.all();
  }

  /** Reads all of {@code keys} that are not known yet. */
  void prefetch(Collection<Bytes> keys) throws SQLException {
    known.fetch(session(), keys, hasAttributes ? attributes : null);
  }

  @Nullable KeyValue get(Bytes key) throws SQLException {
    Head head = head(key);
    return head == null ? null : Known.whole(session(), head);
  }

  /** Whether there is such a key. */
  boolean exists(Bytes key) throws SQLException {
    return head(key) != null;
  }

  private @Nullable Head head(Bytes key) throws SQLException {
    Head head = known.get(key);
    if (head == null && !known.has(key)) {
      prefetch(List.of(key));
      head = known.get(key);
    }
    return head;
  }

  /**
   * Reads up to {@code limit} keys of a range as they are now, until the page is full.
   *
   * @return the rest of the range; null if it is at its end
   */
  @Nullable KeyRange live(KeyRange range, long limit, boolean keysOnly, Collector into)
      throws SQLException {
    if (range.isSingle()) {
      Head head = head(range.start());
      if (head != null) {
        into.add(keysOnly ? RangeReader.withoutValue(head.kv()) : Known.whole(session(), head));
      }
      return null;
    }
    if (range.isEmpty()) {
      return null;
    }
    write();
    return Ranges.live(session(), range, limit, keysOnly, into);
  }

  boolean leaseExists(long id) throws SQLException {
    Boolean exists = leases.get(id);
    if (exists == null) {
      exists = Leases.exists(session(), id);
      leases.put(id, exists);
    }
    return exists;
  }

  /** Tells the batch of a lease that it has just made or ended. */
  void setLease(long id, boolean exists) {
    leases.put(id, exists);
    dirty = true;
  }

  /**
   * Sets a key in the running transaction.
   *
   * @param newAttributes null for those that it has
   */
  void put(Bytes key, Bytes value, long lease, @Nullable Attributes newAttributes)
      throws SQLException {
    Head head = head(key);
    KeyValue before = head == null ? null : head.kv();
    KeyValue after =
        before == null
            ? new KeyValue(key, revision + 1, revision + 1, 1, value, lease)
            : new KeyValue(
                key, before.createRevision(), revision + 1, before.version() + 1, value, lease);
    long id = change(after, head);
    known.put(key, new Head(id, after));
    if (newAttributes != null) {
      setAttributes(key, head != null, newAttributes, id, true);
    }
  }

  /**
   * Deletes a key in the running transaction.
   *
   * @return whether there was such a key
   */
  boolean delete(Bytes key) throws SQLException {
    Head head = head(key);
    if (head == null) {
      return false;
    }
    if (rules.wantsDeleted(key, hasWatched)) {
      rules.deleted(key, Known.whole(session(), head).value(), attributes.of(key), tasks);
    }
    long id = change(KeyValue.deleted(key, revision + 1), head);
    known.put(key, null);
    setAttributes(key, true, Attributes.NONE, id, false);
    return true;
  }

  private void setAttributes(Bytes key, boolean existed, Attributes after, long id, boolean byPut)
      throws SQLException {
    boolean none = after.values().isEmpty();
    if (none && (!existed || !hasAttributes)) {
      return;
    }
    if (!attributes.knows(key)) {
      // What is known of a key, its attributes are, too, if there are any in the store.
      attributes.loaded(key, Map.of());
    }
    boolean watched = AttributeChanges.isWatched(after.values().keySet());
    hasWatched |= watched;
    if (byPut && (watched || attributes.isWatched(key))) {
      rules.put(key, attributes.of(key), after.values(), tasks);
    }
    attributes.set(key, after, id);
    hasAttributes |= !none;
  }

  /** What is called after the commit if any task may have become ready. */
  void onReady(Runnable listener) {
    ready = listener;
  }

  /** The tasks that are to be written with the batch. */
  BatchTasks tasks() {
    return tasks;
  }

  /** Notes the attributes of a key that has not been changed since that revision. */
  void index(Bytes key, long modRevision, Attributes found) throws SQLException {
    Head head = head(key);
    if (head != null && head.kv().modRevision() == modRevision) {
      setAttributes(key, true, found, head.id(), false);
      dirty = true;
    }
  }

  /** Which attributes the store has after this batch. */
  Present present() {
    return new Present(hasAttributes, hasWatched);
  }

  /**
   * Deletes all keys of a range in the running transaction.
   *
   * @param deleted gathers the keys that were deleted, null if nobody wants them
   * @return how many
   */
  long deleteRange(KeyRange range, @Nullable Collector deleted) throws SQLException {
    if (range.isSingle()) {
      gather(deleted, range.start());
      return delete(range.start()) ? 1 : 0;
    }
    long count = 0;
    KeyRange rest = range.isEmpty() ? null : range;
    while (rest != null) {
      write();
      Collector chunk = new Collector(Unlimited.share(), 0);
      rest = Ranges.live(session(), rest, CHUNK, true, chunk);
      List<Bytes> keys = chunk.kvs().stream().map(KeyValue::key).toList();
      prefetch(keys);
      for (Bytes key : keys) {
        gather(deleted, key);
        delete(key);
      }
      count += keys.size();
    }
    return count;
  }

  private void gather(@Nullable Collector deleted, Bytes key) throws SQLException {
    KeyValue kv = deleted == null ? null : get(key);
    if (kv != null) {
      requireNonNull(deleted).add(kv);
    }
  }

  private long change(KeyValue after, @Nullable Head head) {
    if (changes == Ids.MAX_CHANGES) {
      throw new StoreException(
          Reason.TOO_LARGE, "a transaction cannot change more than a million keys");
    }
    KeyValue before = head == null ? null : head.kv();
    LogRow row =
        new LogRow(
            Ids.of(revision + 1, changes++),
            head == null ? 0 : head.id(),
            before == null ? after.createRevision() : before.createRevision(),
            after);
    unwritten.add(row);
    unwrittenLive.put(after.key(), row);
    dirty = true;
    reader.changing(after.key(), after.modRevision());
    events.add(new Event(after, before), head == null || head.complete());
    return row.id();
  }

  /** Whether the running transaction has changed anything. */
  boolean isChanging() {
    return changes > 0;
  }

  /** Ends the running transaction; answers its revision, the current one if it changed nothing. */
  long finish() {
    if (changes > 0) {
      revision++;
      changes = 0;
    }
    return revision;
  }

  /** Writes all changes to the database. */
  void write() throws SQLException {
    Changes unwrittenChanges = unwritten();
    if (!unwrittenChanges.isEmpty()) {
      dialect.write(session(), unwrittenChanges);
      written();
    }
  }

  /**
   * Writes everything including the new state of the store, and commits it.
   *
   * @param committing called once, before anything can become durable
   * @return false if another writer has taken the database over; then nothing is committed
   */
  boolean commit(Runnable committing) throws SQLException {
    if (!tasks.isEmpty()) {
      write();
      if (tasks.write(dialect, session())) {
        effects.add(ready);
      }
    }
    boolean committed = dialect.commit(session(), unwritten(), sealed(), committing);
    written();
    return committed;
  }

  private Changes unwritten() {
    return new Changes(unwritten, unwrittenLive.values(), attributes);
  }

  private void written() {
    attributes.written();
    writtenRows += unwritten.size();
    unwritten.clear();
    unwrittenLive.clear();
    if (known.isLarge()) {
      known.clear();
      attributes.clear();
    }
  }

  /** What the table meta holds once this batch is committed. */
  Meta sealed() {
    return new Meta(
        revision,
        compacted,
        compacting,
        compactCursor,
        meta.epoch(),
        commit(),
        meta.clusterId(),
        meta.memberId(),
        indexed);
  }
}
