package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import java.sql.SQLException;

/** How many keys there are in a range: remembered from before, or else counted by the database. */
final class KeyCounts {
  private final Counts counts = new Counts();
  private final PrefixCounts prefixes;

  KeyCounts(PrefixCounts prefixes) {
    this.prefixes = prefixes;
  }

  /** The number of keys at a revision; may be done again, for another snapshot. */
  long count(Session session, Meta meta, KeyRange range, long at) throws SQLException {
    if (range.isEmpty()) {
      return 0;
    }
    Long known = counts.get(meta.epoch(), range.end(), at, range.start());
    if (known == null) {
      known = prefixes.get(range, at);
    }
    if (known != null) {
      return known;
    }
    return at == meta.revision() ? Ranges.count(session, range) : Ranges.count(session, range, at);
  }

  /** Remembers what has been answered. */
  void counted(KeyRange range, Reading reading, long count) {
    prefixes.counted(range, reading.at(), count);
  }

  /** Remembers how many keys there are behind one, for who asks for these next. */
  void behind(Bytes key, KeyRange range, Reading reading, long count) {
    counts.put(reading.meta().epoch(), range.end(), reading.at(), key.successor(), count);
  }
}
