package io.harikube.sql;

import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The keys that a batch knows, as they are now. A value is here as long as all of them weigh little
 * together; a larger one stays in the database until somebody asks for it.
 */
final class Known {
  private static final int CHUNK = 500;
  private static final long MOST_BYTES = 8 << 20;

  private final Dialect dialect;
  private final Map<Bytes, @Nullable Head> heads = new HashMap<>();
  private long bytes;

  Known(Dialect dialect) {
    this.dialect = dialect;
  }

  boolean has(Bytes key) {
    return heads.containsKey(key);
  }

  /** Null for a key that there is not, and for one that is not known. */
  @Nullable Head get(Bytes key) {
    return heads.get(key);
  }

  void put(Bytes key, @Nullable Head head) {
    heads.put(key, head);
  }

  /**
   * Reads keys.
   *
   * @param attributes gets theirs; null if nobody wants them
   */
  void fetch(Session session, Collection<Bytes> keys, @Nullable AttributeChanges attributes)
      throws SQLException {
    if (keys.size() <= CHUNK) {
      fetchChunk(session, keys, attributes);
      return;
    }
    List<Bytes> all = List.copyOf(keys);
    for (int from = 0; from < all.size(); from += CHUNK) {
      fetchChunk(session, all.subList(from, Math.min(from + CHUNK, all.size())), attributes);
    }
  }

  private void fetchChunk(
      Session session, Collection<Bytes> keys, @Nullable AttributeChanges attributes)
      throws SQLException {
    dialect.fetch(session, keys, Math.max(0, MOST_BYTES - bytes), heads, attributes);
    for (Bytes key : keys) {
      Head head = heads.get(key);
      bytes += head == null ? 0 : head.kv().value().size();
    }
  }

  /** A key with its value, which is read if it was left in the database. */
  static KeyValue whole(Session session, Head head) throws SQLException {
    if (head.complete()) {
      return head.kv();
    }
    PreparedStatement select = session.prepare("SELECT value FROM log WHERE id = ?");
    select.setLong(1, head.id());
    try (ResultSet rows = select.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the log lacks the change " + head.id());
      }
      return head.kv().withValue(Rows.bytes(rows, 1));
    }
  }

  /** Whether it is time to forget everything, as soon as no change is unwritten. */
  boolean isLarge() {
    return heads.size() > 16 * CHUNK || bytes > MOST_BYTES / 2;
  }

  void clear() {
    heads.clear();
    bytes = 0;
  }
}
