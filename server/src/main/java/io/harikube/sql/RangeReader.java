package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Answers ranges from the reading connections.
 *
 * <p>A long answer is read in pages, each in a snapshot of its own but all at the revision of the
 * first, so that neither checkpoints nor vacuum wait for it; {@link Pins} keeps the compaction from
 * that revision.
 */
final class RangeReader {
  private static final int FIRST_PAGE_ROWS = 64;
  private static final int GUESSED_ROW_BYTES = 1024;
  private static final int PAGE_ROWS = 1000;
  private static final long PAGE_BYTES = 1 << 20;

  private final Dialect dialect;
  private final Pins pins;
  private final AttributeIndex attributes;
  private final PrefixCounts prefixes;
  private final Counts counts = new Counts();

  RangeReader(Dialect dialect, Pins pins, AttributeIndex attributes, PrefixCounts prefixes) {
    this.prefixes = prefixes;
    this.attributes = attributes;
    this.dialect = dialect;
    this.pins = pins;
  }

  OpResult.Range range(RangeQuery query, MemoryBudget.Share share) throws SQLException {
    while (true) {
      try {
        return attempt(query, share);
      } catch (Collector.Overflow overflow) {
        restart(share, overflow);
      }
    }
  }

  /** Waits until an answer that has outgrown its share may be read again with a larger one. */
  static void restart(MemoryBudget.Share share, Collector.Overflow overflow) {
    long wish = Math.max(2 * overflow.bytes, PAGE_BYTES);
    share.restart(Math.max(overflow.bytes, Math.min(wish, share.capacity())));
  }

  private OpResult.Range attempt(RangeQuery query, MemoryBudget.Share share) throws SQLException {
    if (query.range().isSingle() && !query.countOnly() && !query.hasRevisionBounds()) {
      OpResult.Range answer = point(query, share);
      if (answer != null) {
        return answer;
      }
    }
    try (Pins.Pin _ = pins.pin(query.revision())) {
      Walk walk = new Walk(query, new Collector(share, 0), PAGE_BYTES);
      dialect.readers().snapshot(walk::first);
      while (!walk.done) {
        dialect.readers().snapshot(walk::next);
      }
      share.shrink(walk.collector.bytes());
      return walk.answer();
    }
  }

  /** Reads a range in parts; see {@code Store.stream}. */
  void stream(
      RangeQuery query, MemoryBudget.Share share, int partBytes, Consumer<OpResult.Range> parts)
      throws SQLException {
    try (Pins.Pin _ = pins.pin(query.revision())) {
      Walk walk = new Walk(query, new Collector(share, 0), Math.min(partBytes, PAGE_BYTES));
      dialect.readers().snapshot(walk::first);
      while (!walk.done) {
        if (walk.collector.bytes() >= partBytes) {
          parts.accept(walk.part());
          share.close();
        }
        dialect.readers().snapshot(walk::next);
      }
      parts.accept(walk.answer());
    }
  }

  /** Answers null if the key has changed since the revision that is asked for. */
  private OpResult.@Nullable Range point(RangeQuery query, MemoryBudget.Share share)
      throws SQLException {
    Bytes key = query.range().start();
    Point point = dialect.point(key);
    check(query.revision(), point.revision(), point.compacted());
    Head head = point.head();
    if (query.revision() > 0
        && query.revision() < point.revision()
        && (head == null || head.kv().modRevision() > query.revision())) {
      return null;
    }
    if (head == null) {
      return new OpResult.Range(point.revision(), List.of(), false, 0);
    }
    Collector collector = new Collector(share, 0);
    collector.add(query.keysOnly() ? withoutValue(head.kv()) : head.kv());
    return new OpResult.Range(point.revision(), collector.kvs(), false, 1);
  }

  static KeyValue withoutValue(KeyValue kv) {
    return new KeyValue(
        kv.key(), kv.createRevision(), kv.modRevision(), kv.version(), Bytes.EMPTY, kv.lease());
  }

  /**
   * Refuses a revision that does not exist yet or any more. A negative one means the current
   * revision, as long as nothing has been compacted: so does etcd.
   *
   * @param compacted -1 if nothing has been compacted
   */
  static void check(long wanted, long current, long compacted) {
    if (wanted > current) {
      throw new StoreException(
          Reason.FUTURE_REVISION, "revision " + wanted + " is above the current " + current);
    }
    if (wanted != 0 && wanted < compacted) {
      throw new StoreException(
          Reason.COMPACTED, "revision " + wanted + " has been compacted up to " + compacted);
    }
  }

  /** One walk through a range. */
  private final class Walk {
    private final RangeQuery query;
    private Collector collector;
    private KeyRange rest;
    private long current;
    private long at;
    private long taken;
    private long count;
    private boolean more;
    private boolean done;
    private Bytes lastOfPart = Bytes.EMPTY;
    private final long pageBytes;
    private int rows;

    Walk(RangeQuery query, Collector collector, long pageBytes) {
      this.query = query;
      this.pageBytes = pageBytes;
      this.rows = Math.clamp(pageBytes / GUESSED_ROW_BYTES, 1, FIRST_PAGE_ROWS);
      this.collector = collector;
      this.rest = query.range();
    }

    Void first(Session session, Meta meta) throws SQLException {
      check(query.revision(), meta.revision(), meta.compacted());
      current = meta.revision();
      at = query.revision() > 0 ? query.revision() : current;
      if (query.range().isEmpty()) {
        done = true;
      } else if (query.countOnly()) {
        count = count(session, meta);
        done = true;
      } else if (!query.inKeyOrder() || query.hasRevisionBounds()) {
        Ranges.sorted(session, query, at == current ? 0 : at, collector);
        more = collector.cut(query.limit());
        count = more || query.hasRevisionBounds() ? count(session, meta) : collector.size();
        done = true;
      } else {
        page(session, meta);
      }
      return null;
    }

    Void next(Session session, Meta meta) throws SQLException {
      if (at < meta.compacting()) {
        throw new StoreException(
            Reason.COMPACTED, "revision " + at + " was compacted while it was read");
      }
      page(session, meta);
      return null;
    }

    private void page(Session session, Meta meta) throws SQLException {
      long limit = query.limit() > 0 ? query.limit() - taken + 1 : Long.MAX_VALUE;
      long want = Math.min(limit, rows);
      int before = collector.size();
      long bytesBefore = collector.bytes();
      collector.page(pageBytes);
      Filter filter = attributes.reliable(query.filter(), at, meta);
      Bytes next = page(session, meta, want, filter);
      if (!attributes.reliable(query.filter(), at, meta).equals(filter)) {
        collector.cutTo(before, bytesBefore);
        filter = Filter.NONE;
        next = page(session, meta, want, filter);
      }
      boolean filtered = !filter.isEmpty();
      int got = collector.size() - before;
      taken += got;
      if (query.limit() > 0 && taken > query.limit()) {
        collector.removeLast();
        taken--;
        more = true;
        done = true;
        if (filtered) {
          count = taken + 1;
          return;
        }
        count = count(session, meta);
        Bytes last = collector.size() > 0 ? collector.last().key() : lastOfPart;
        counts.put(query.range().end(), at, last.successor(), count - taken);
      } else if (next == null) {
        count = taken;
        done = true;
      } else {
        rest = rest.from(next);
        long average = got == 0 ? 1 : Math.max(1, (collector.bytes() - bytesBefore) / got);
        rows = Math.clamp(pageBytes / average, 1, PAGE_ROWS);
      }
    }

    private @Nullable Bytes page(Session session, Meta meta, long want, Filter filter)
        throws SQLException {
      boolean current = meta.revision() == at;
      boolean keysOnly = query.keysOnly();
      if (filter.isEmpty()) {
        return current
            ? Ranges.live(session, rest, want, keysOnly, collector)
            : Ranges.history(session, rest, at, want, keysOnly, collector);
      }
      return FilteredRanges.page(
          session, rest, current ? 0 : at, want, keysOnly, filter, collector);
    }

    private long count(Session session, Meta meta) throws SQLException {
      Long known = counts.get(query.range().end(), at, query.range().start());
      if (known == null) {
        known = prefixes.get(query.range(), at);
      }
      if (known == null) {
        known =
            meta.revision() == at
                ? Ranges.count(session, query.range())
                : Ranges.count(session, query.range(), at);
        prefixes.counted(query.range(), at, known);
      }
      return known;
    }

    /** What has been read since the last part; the walk goes on with the next. */
    OpResult.Range part() {
      OpResult.Range part = new OpResult.Range(current, collector.kvs(), true, 0);
      lastOfPart = collector.last().key();
      collector = collector.next();
      return part;
    }

    OpResult.Range answer() {
      return new OpResult.Range(current, collector.kvs(), more, count);
    }
  }
}
