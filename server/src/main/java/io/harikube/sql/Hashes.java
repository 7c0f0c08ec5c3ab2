package io.harikube.sql;

import com.google.protobuf.CodedOutputStream;
import io.harikube.store.KeyValue;
import io.harikube.store.Store;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Checksums over the history, the same as etcd's over the same history: CRC-32C over the name of
 * its bucket, and over the revision and the protobuf form of every change that a compaction would
 * keep.
 *
 * <p>The last ones that were asked for are kept, and answered again when their revision has been
 * compacted: so who compares the checksums before and after a compaction finds them equal.
 */
final class Hashes {
  private static final int PAGE = 1000;
  private static final int KEPT = 10;
  private static final String ROWS =
      """
      SELECT l.key, l.id, l.create_revision, l.version, l.lease, l.value, v.id
      FROM log l LEFT JOIN live v ON v.key = l.key AND v.id = l.id
      WHERE l.id >= ? AND l.id < ? ORDER BY l.id LIMIT ?""";

  private final Dialect dialect;
  private final Pins pins;
  private final LinkedHashMap<Long, Store.Hash> kept = new LinkedHashMap<>();

  Hashes(Dialect dialect, Pins pins) {
    this.dialect = dialect;
    this.pins = pins;
  }

  Store.Hash hash(long wanted) throws SQLException {
    try (Pins.Pin _ = pins.pin(wanted)) {
      Meta meta = dialect.readers().single(Meta::read);
      RangeReader.check(wanted, meta.revision(), meta.compacted());
      Store.Hash before = wanted == meta.compacted() ? kept(wanted) : null;
      if (before != null) {
        return new Store.Hash(before.hash(), meta.revision(), wanted, before.compactedRevision());
      }
      long revision = wanted > 0 ? wanted : meta.revision();
      CRC32C crc = new CRC32C();
      crc.update("key".getBytes(StandardCharsets.US_ASCII));
      long from = 0;
      while (from >= 0) {
        long start = from;
        from = dialect.readers().snapshot((session, _) -> page(session, start, revision, meta, crc));
      }
      return keep(
          new Store.Hash((int) crc.getValue(), meta.revision(), revision, meta.compacted()));
    }
  }

  private Store.@Nullable Hash kept(long revision) {
    synchronized (kept) {
      return kept.get(revision);
    }
  }

  private Store.Hash keep(Store.Hash hash) {
    synchronized (kept) {
      kept.put(hash.hashRevision(), hash);
      if (kept.size() > KEPT) {
        kept.pollFirstEntry();
      }
    }
    return hash;
  }

  /** Answers the id to go on from, -1 at the end. */
  private static long page(Session session, long from, long revision, Meta meta, CRC32C crc)
      throws SQLException {
    PreparedStatement select = session.prepare(ROWS);
    long kept = Ids.first(meta.compacted() + 1);
    select.setLong(1, from);
    select.setLong(2, Ids.first(revision + 1));
    select.setInt(3, PAGE);
    int count = 0;
    long last = -1;
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        count++;
        last = rows.getLong(2);
        KeyValue kv = Rows.keyValue(rows, 1);
        boolean current = rows.getLong(7) == last;
        if (last < kept && !current && Ranges.at(session, kv.key(), revision) != last) {
          continue;
        }
        crc.update(revisionKey(last, kv.version() == 0));
        crc.update(message(kv));
      }
    }
    return count < PAGE ? -1 : last + 1;
  }

  private static byte[] revisionKey(long id, boolean tombstone) {
    ByteBuffer key = ByteBuffer.allocate(tombstone ? 18 : 17);
    key.putLong(Ids.revision(id)).put((byte) '_').putLong(Ids.sub(id));
    if (tombstone) {
      key.put((byte) 't');
    }
    return key.array();
  }

  /** The message mvccpb.KeyValue; of a tombstone only the key. */
  private static byte[] message(KeyValue kv) {
    byte[] buffer = new byte[80 + kv.key().size() + kv.value().size()];
    CodedOutputStream out = CodedOutputStream.newInstance(buffer);
    try {
      if (!kv.key().isEmpty()) {
        out.writeByteArray(1, kv.key().array());
      }
      if (kv.version() > 0) {
        out.writeInt64(2, kv.createRevision());
        out.writeInt64(3, kv.modRevision());
        out.writeInt64(4, kv.version());
        if (!kv.value().isEmpty()) {
          out.writeByteArray(5, kv.value().array());
        }
        if (kv.lease() != 0) {
          out.writeInt64(6, kv.lease());
        }
      }
      return java.util.Arrays.copyOf(buffer, out.getTotalBytesWritten());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
