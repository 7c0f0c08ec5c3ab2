package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
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
  private final Dialect dialect;
  private final Pins pins;
  private final Walk.Attributed attributes;
  private final KeyCounts counts;

  RangeReader(Dialect dialect, Pins pins, Walk.Attributed attributes, PrefixCounts prefixes) {
    this.counts = new KeyCounts(prefixes);
    this.attributes = attributes;
    this.dialect = dialect;
    this.pins = pins;
  }

  OpResult.Range range(RangeQuery query, MemoryBudget.Share share) throws SQLException {
    while (true) {
      try {
        return attempt(query, share);
      } catch (Collector.Overflow overflow) {
        if (query.isPoint()) {
          share.restart(overflow.bytes);
        } else {
          restart(share, overflow);
        }
      } catch (Reading.TakenOver _) {
        // It is read again, all of it.
      }
    }
  }

  /** Waits until an answer that has outgrown its share may be read again with a larger one. */
  static void restart(MemoryBudget.Share share, Collector.Overflow overflow) {
    long wish = Math.max(2 * overflow.bytes, Values.GROUP_BYTES);
    share.restart(Math.max(overflow.bytes, Math.min(wish, share.capacity())));
  }

  private OpResult.Range attempt(RangeQuery query, MemoryBudget.Share share) throws SQLException {
    if (query.isPoint()) {
      Point point = dialect.readers().single(session -> Point.read(session, query.range().start()));
      OpResult.Range answer = answer(point, query, share);
      if (answer != null) {
        return answer;
      }
    }
    try (Pins.Pin _ = pins.pin(query.revision())) {
      if (query.countOnly() || !query.inKeyOrder() || query.hasRevisionBounds()) {
        return whole(query, share);
      }
      Walk walk = walk(query, share, Values.GROUP_BYTES);
      while (!walk.isDone()) {
        walk.step();
      }
      share.shrink(walk.bytes());
      return walk.answer();
    }
  }

  /** Reads a range in parts; see {@code Store.stream}. */
  void stream(
      RangeQuery query, MemoryBudget.Share share, int partBytes, Consumer<OpResult.Range> parts)
      throws SQLException {
    try (Pins.Pin _ = pins.pin(query.revision())) {
      Walk walk = walk(query, share, Math.clamp(partBytes, 1, Values.GROUP_BYTES));
      while (!walk.isDone()) {
        if (walk.bytes() >= partBytes) {
          parts.accept(walk.part());
          share.close();
        }
        walk.step();
      }
      parts.accept(walk.answer());
    } catch (Reading.TakenOver e) {
      throw new StoreException(
          Reason.UNAVAILABLE, "a writer has taken the database over while it was read", e);
    }
  }

  private Walk walk(RangeQuery query, MemoryBudget.Share share, long pageBytes) {
    return new Walk(dialect.readers(), attributes, counts, query, share, pageBytes);
  }

  /** What one snapshot says of the keys of a range. */
  private record Found(Reading reading, Collector keys, long count) {
    OpResult.Range answer() {
      return new OpResult.Range(reading.meta().revision(), keys.kvs(), keys.more(), count);
    }
  }

  /** All keys in one statement, or just their number, and large values in as many as it takes. */
  private OpResult.Range whole(RangeQuery query, MemoryBudget.Share share) throws SQLException {
    Found found = dialect.readers().snapshot((session, meta) -> find(session, meta, query, share));
    counts.counted(query.range(), found.reading, found.count);
    Collector keys = found.keys;
    for (List<Values.Later> group = keys.missing(); !group.isEmpty(); group = keys.missing()) {
      Reading.requireWanted();
      keys.fill(group, values(found.reading, group));
    }
    share.shrink(keys.bytes());
    return found.answer();
  }

  private Found find(Session session, Meta meta, RangeQuery query, MemoryBudget.Share share)
      throws SQLException {
    Reading reading = Reading.of(query, meta);
    long at = reading.at();
    Collector keys = new Collector(share, 0, query.mostKeys());
    if (!query.countOnly() && !query.range().isEmpty()) {
      Ranges.sorted(session, query, at == meta.revision() ? 0 : at, keys);
    }
    boolean all = !query.countOnly() && !query.hasRevisionBounds() && !keys.more();
    long count = all ? keys.size() : counts.count(session, meta, query.range(), at);
    return new Found(reading, keys, count);
  }

  private Map<Long, Bytes> values(Reading reading, List<Values.Later> group) throws SQLException {
    return dialect
        .readers()
        .snapshot(
            (session, meta) -> {
              reading.goOn(meta);
              return Values.read(session, group);
            });
  }

  /** See {@code Store.get}. */
  CompletableFuture<OpResult.@Nullable Range> get(RangeQuery query, MemoryBudget.Share share) {
    return dialect
        .point(query.range().start())
        .thenApply(
            point -> {
              try {
                return point == null ? null : answer(point, query, share);
              } catch (Collector.Overflow e) {
                // There is room for it later, and whoever waits for that has a thread to wait with.
                return null;
              }
            });
  }

  /** Answers null if the key has changed since the revision that is asked for. */
  private static OpResult.@Nullable Range answer(
      Point point, RangeQuery query, MemoryBudget.Share share) {
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
    KeyValue kv = query.keysOnly() ? withoutValue(head.kv()) : head.kv();
    // Just that: there is always room for a small answer, and nowhere near as much for a large one.
    if (!share.tryGrow(kv.weight())) {
      throw new Collector.Overflow(kv.weight(), kv.weight() > share.capacity());
    }
    return new OpResult.Range(point.revision(), List.of(kv), false, 1);
  }

  static KeyValue withoutValue(KeyValue kv) {
    return kv.withValue(Bytes.EMPTY);
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
}
