package io.harikube.sql;

import com.google.protobuf.CodedOutputStream;
import io.harikube.store.KeyValue;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
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
  private static final int KEPT = 10;
  private static final Duration PATIENCE = Duration.ofMinutes(1);

  private final Dialect dialect;
  private final Pins pins;
  private final LinkedHashMap<Long, Store.Hash> kept = new LinkedHashMap<>();

  Hashes(Dialect dialect, Pins pins) {
    this.dialect = dialect;
    this.pins = pins;
  }

  /** One that a later compaction has overtaken says nothing, and is made again. */
  Store.Hash hash(long wanted) throws SQLException {
    try (Pins.Pin _ = pins.pin(wanted)) {
      Store.Hash hash = attempt(wanted);
      return hash == null ? undisturbed(wanted) : hash;
    }
  }

  private Store.Hash undisturbed(long wanted) throws SQLException {
    try {
      if (pins.hold(PATIENCE)) {
        try {
          Store.Hash hash = attempt(wanted);
          if (hash != null) {
            return hash;
          }
        } finally {
          pins.release();
        }
      }
      throw new StoreException(
          StoreException.Reason.UNAVAILABLE, "the history is being compacted; try again");
    } catch (InterruptedException e) {
      throw Lender.givenUp(e);
    }
  }

  /** Answers null if what it read was compacted meanwhile. */
  private Store.@Nullable Hash attempt(long wanted) throws SQLException {
    Meta meta = dialect.readers().single(Meta::read);
    if (wanted > 0) {
      RangeReader.check(wanted, meta.revision(), -1);
      Store.Hash before = wanted <= meta.compacted() ? kept(wanted) : null;
      if (before != null) {
        return new Store.Hash(before.hash(), meta.revision(), wanted, before.compactedRevision());
      }
      RangeReader.check(wanted, meta.revision(), meta.compacted());
    }
    // Of a negative revision, as in etcd: there is nothing at it.
    long revision = wanted == 0 ? meta.revision() : wanted;
    CRC32C crc = new CRC32C();
    crc.update("key".getBytes(StandardCharsets.US_ASCII));
    for (long from = wanted < 0 ? -1 : 0; from >= 0; ) {
      long start = from;
      LogPages.Page page =
          dialect.readers().snapshot((session, now) -> page(session, start, revision, meta, now));
      if (page == null) {
        return null;
      }
      page.rows().forEach(row -> add(crc, row.log()));
      from = page.next();
    }
    Store.Hash hash =
        new Store.Hash((int) crc.getValue(), meta.revision(), revision, meta.compacted());
    return wanted < 0 ? hash : keep(hash);
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

  /**
   * Reads rows that a compaction at {@code meta} would keep; answers null if a later one has begun.
   */
  private static LogPages.@Nullable Page page(
      Session session, long from, long revision, Meta meta, Meta now) throws SQLException {
    if (now.compacting() > meta.compacted()) {
      return null;
    }
    LogPages.Page page =
        LogPages.read(session, LogPages.Scan.withLive(from, Ids.first(revision + 1)));
    long compacted = Ids.first(meta.compacted() + 1);
    List<LogPages.Row> rows = new ArrayList<>(page.rows());
    for (Iterator<LogPages.Row> all = rows.iterator(); all.hasNext(); ) {
      LogPages.Row row = all.next();
      LogRow log = row.log();
      if (log.id() < compacted
          && !row.live()
          && Ranges.at(session, log.kv().key(), revision) != log.id()) {
        all.remove();
      }
    }
    return new LogPages.Page(rows, page.next());
  }

  private static void add(CRC32C crc, LogRow row) {
    crc.update(revisionKey(row.id(), row.kv().version() == 0));
    crc.update(message(row.kv()));
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
  private static ByteBuffer message(KeyValue kv) {
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
      return ByteBuffer.wrap(buffer, 0, out.getTotalBytesWritten());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
