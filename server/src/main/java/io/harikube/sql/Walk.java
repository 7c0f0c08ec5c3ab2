package io.harikube.sql;

import static java.util.Objects.requireNonNull;

import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A walk through a range in the order of its keys, page by page. What is read in a snapshot is a
 * {@link Page}, which depends on the {@link Cursor} alone: so it can be read again in another
 * snapshot when a connection is lost, and only what has come of it moves the walk on. To be used by
 * one thread.
 */
final class Walk {
  private static final int FIRST_PAGE_ROWS = 64;
  private static final int GUESSED_ROW_BYTES = 1024;
  private static final int PAGE_ROWS = 1000;

  /** Knows what the database knows of attributes. */
  interface Attributed {
    /** The requirements of a filter by which the database can tell keys at a revision. */
    Filter reliable(Filter filter, long revision, Meta meta);

    /** Whether a filter matches a key by what its value says now. */
    boolean matches(Filter filter, KeyValue kv);
  }

  /**
   * What a page is read from.
   *
   * @param reading null before the first page
   * @param rest what has not been read of the range
   * @param left how many keys are wanted yet
   * @param rows how many to read
   * @param bytes what the answer counts against its share
   */
  private record Cursor(
      @Nullable Reading reading, KeyRange rest, long left, int rows, long bytes) {}

  /**
   * What one snapshot says.
   *
   * @param rest what the next page is of; null if there is none
   * @param filtered whether keys have been left out that do not match
   * @param count the keys of the whole range, if the limit keeps some back and none are left out
   */
  private record Page(
      Reading reading, Collector keys, @Nullable KeyRange rest, boolean filtered, long count) {}

  private final Readers readers;
  private final Attributed attributes;
  private final KeyCounts counts;
  private final RangeQuery query;
  private final MemoryBudget.Share share;
  private final long pageBytes;
  private Cursor cursor;
  private List<KeyValue> kvs = new ArrayList<>();
  private @Nullable Bytes last;
  private long taken;
  private long count;
  private boolean more;
  private boolean done;

  Walk(
      Readers readers,
      Attributed attributes,
      KeyCounts counts,
      RangeQuery query,
      MemoryBudget.Share share,
      long pageBytes) {
    this.readers = readers;
    this.attributes = attributes;
    this.counts = counts;
    this.query = query;
    this.share = share;
    this.pageBytes = pageBytes;
    int rows = Math.clamp(pageBytes / GUESSED_ROW_BYTES, 1, FIRST_PAGE_ROWS);
    this.cursor = new Cursor(null, query.range(), query.mostKeys(), rows, 0);
  }

  boolean isDone() {
    return done;
  }

  /** The bytes of what has been read, and is not part of a {@link #part}. */
  long bytes() {
    return cursor.bytes;
  }

  /** Reads a page. */
  void step() throws SQLException {
    Reading.takeTurns();
    Cursor from = cursor;
    take(readers.snapshot((session, meta) -> read(session, meta, from)));
  }

  private Page read(Session session, Meta meta, Cursor from) throws SQLException {
    Reading reading = from.reading;
    if (reading == null) {
      reading = Reading.of(query, meta);
    } else {
      reading.goOn(meta);
    }
    Filter filter = inDatabase(reading, meta);
    Page page = page(session, meta, from, reading, filter);
    return inDatabase(reading, meta).equals(filter)
        ? page
        : page(session, meta, from, reading, new Filter(List.of(), query.filter().keyEnd()));
  }

  private Filter inDatabase(Reading reading, Meta meta) {
    return FilteredRanges.asFarAsItGoes(attributes.reliable(query.filter(), reading.at(), meta));
  }

  /**
   * @param filter by which the database looks; if it is not all of the query's, what it finds is
   *     looked at once more
   */
  private Page page(Session session, Meta meta, Cursor from, Reading reading, Filter filter)
      throws SQLException {
    boolean byValue = !filter.equals(query.filter());
    Collector keys = new Collector(share, from.bytes, byValue ? Long.MAX_VALUE : from.left);
    keys.page(pageBytes);
    KeyRange rest =
        from.rest.isEmpty() ? null : keys(session, meta, from, reading, filter, byValue, keys);
    if (byValue) {
      keys.retain(kv -> attributes.matches(query.filter(), kv), from.left, query.keysOnly());
      rest = keys.more() ? null : rest;
    }
    boolean filtered = !query.filter().isEmpty();
    long all =
        keys.more() && !filtered ? counts.count(session, meta, query.range(), reading.at()) : 0;
    return new Page(reading, keys, rest, filtered, all);
  }

  /** Reads the keys of a page, and one more to see whether there is one; answers the rest. */
  private @Nullable KeyRange keys(
      Session session,
      Meta meta,
      Cursor from,
      Reading reading,
      Filter filter,
      boolean byValue,
      Collector into)
      throws SQLException {
    long rows = from.left < from.rows && !byValue ? from.left + 1 : from.rows;
    boolean keysOnly = (query.keysOnly() || from.left == 0) && !byValue;
    boolean current = reading.at() == meta.revision();
    if (!filter.isEmpty()) {
      long at = current ? 0 : reading.at();
      return FilteredRanges.page(session, from.rest, at, rows, keysOnly, filter, into);
    }
    return current
        ? Ranges.live(session, from.rest, rows, keysOnly, into)
        : Ranges.history(session, from.rest, reading.at(), rows, keysOnly, into);
  }

  private void take(Page page) {
    List<KeyValue> keys = page.keys.kvs();
    long bytes = page.keys.bytes();
    KeyRange rest = page.rest == null ? cursor.rest : page.rest;
    long average = (bytes - cursor.bytes) / Math.max(1, keys.size());
    int rows = Math.clamp(pageBytes / Math.max(1, average), 1, PAGE_ROWS);
    cursor = new Cursor(page.reading, rest, cursor.left - keys.size(), rows, bytes);
    kvs.addAll(keys);
    taken += keys.size();
    last = keys.isEmpty() ? last : keys.getLast().key();
    if (page.rest == null) {
      end(page);
    }
  }

  private void end(Page page) {
    done = true;
    more = page.keys.more();
    count = more ? page.filtered ? taken + 1 : page.count : taken;
    if (more && !page.filtered) {
      counts.counted(query.range(), page.reading, count);
      counts.behind(requireNonNull(last), query.range(), page.reading, count - taken);
    }
  }

  /** What has been read since the last part, with the revision of all; the walk goes on. */
  OpResult.Range part() {
    OpResult.Range part = new OpResult.Range(revision(), kvs, true, 0);
    kvs = new ArrayList<>();
    cursor = new Cursor(cursor.reading, cursor.rest, cursor.left, cursor.rows, 0);
    return part;
  }

  OpResult.Range answer() {
    return new OpResult.Range(revision(), kvs, more, count);
  }

  private long revision() {
    return requireNonNull(cursor.reading).meta().revision();
  }
}
