package io.harikube.sql;

import io.harikube.store.KeyValue;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Snapshots: a SQLite database with the tables of a store, whatever database the store itself is
 * in, so that a snapshot of the one restores into the other. As etcd's clients have it, a SHA-256
 * of the file may follow the file itself.
 *
 * <p>A snapshot is read in pages, all at one revision, so that a long one holds up neither
 * checkpoints nor vacuum.
 */
public final class Snapshots {
  private static final int PAGE = 1000;
  private static final int SHA_BYTES = 32;
  private static final String LOG_PAGE =
      """
      SELECT key, id, create_revision, version, lease, value, prev FROM log
      WHERE id >= ? AND id < ? ORDER BY id LIMIT ?""";

  private Snapshots() {}

  /** Writes the store that {@code source} reads to {@code sink}, by way of a temporary file. */
  static void save(Dialect source, Pins pins, Store.SnapshotSink sink)
      throws IOException, SQLException {
    Path folder = Files.createTempDirectory("harikube-snapshot");
    Path file = folder.resolve("snapshot.db");
    // From here on a compaction waits, up to its deadline.
    try (Pins.Pin _ = pins.pin(1)) {
      Meta meta;
      try (Session target = openFile(file)) {
        meta =
            copy(
                source,
                target,
                new SqliteDialect(SqlOptions.of(new Endpoint.Sqlite(file)), StoreMetrics.NONE));
      }
      try (InputStream in = Files.newInputStream(file);
          OutputStream out = sink.begin(Files.size(file), meta.revision())) {
        in.transferTo(out);
      }
    } finally {
      Files.deleteIfExists(file);
      Files.deleteIfExists(folder);
    }
  }

  private static Session openFile(Path file) throws SQLException {
    Session session = new Session(DriverManager.getConnection("jdbc:sqlite:" + file));
    session.execute("PRAGMA auto_vacuum = INCREMENTAL");
    session.execute("PRAGMA journal_mode = OFF");
    session.execute("PRAGMA synchronous = OFF");
    return session;
  }

  private static Meta copy(Dialect source, Session target, Dialect sqlite) throws SQLException {
    sqlite.begin(target);
    for (String statement : sqlite.schema()) {
      target.execute(statement);
    }
    // The leases are those of the revision: a key must not outlive the lease it is attached to.
    Meta meta =
        source
            .readers()
            .snapshot(
                (session, found) -> {
                  copyLeases(session, target);
                  return found;
                });
    writeMeta(target, meta, true);
    long from = 0;
    while (from >= 0) {
      long start = from;
      List<LogRow> rows =
          source
              .readers()
              .snapshot((session, _) -> page(session, start, Ids.first(meta.revision() + 1)));
      write(sqlite, target, rows);
      from = rows.size() < PAGE ? -1 : rows.getLast().id() + 1;
    }
    if (source.readers().single(Meta::read).compacting() > meta.compacted()) {
      throw new SQLException("the history was compacted meanwhile; try again");
    }
    sqlite.commit(target);
    return meta;
  }

  private static void writeMeta(Session target, Meta meta, boolean insert) throws SQLException {
    PreparedStatement statement =
        target.prepare(
            insert
                ? "INSERT INTO meta (revision, compacted, compacting, compact_cursor, cluster_id,"
                    + " member_id, one, schema_version, writer, epoch, commits, indexed)"
                    + " VALUES (?, ?, ?, ?, ?, ?, 1, "
                    + Schema.VERSION
                    + ", 0, 0, 0, -1)"
                : "UPDATE meta SET revision = ?, compacted = ?, compacting = ?, compact_cursor = ?,"
                    + " cluster_id = ?, member_id = ?, indexed = -1");
    statement.setLong(1, meta.revision());
    statement.setLong(2, meta.compacted());
    statement.setLong(3, meta.compacting());
    statement.setLong(4, meta.compactCursor());
    statement.setLong(5, meta.clusterId());
    statement.setLong(6, meta.memberId());
    statement.executeUpdate();
  }

  private static List<LogRow> page(Session session, long from, long end) throws SQLException {
    PreparedStatement select = session.prepare(LOG_PAGE);
    select.setLong(1, from);
    select.setLong(2, end);
    select.setInt(3, PAGE);
    List<LogRow> rows = new ArrayList<>();
    try (ResultSet result = select.executeQuery()) {
      while (result.next()) {
        KeyValue kv = Rows.keyValue(result, 1);
        rows.add(new LogRow(result.getLong(2), result.getLong(7), kv.createRevision(), kv));
      }
    }
    return rows;
  }

  private static void write(Dialect dialect, Session target, List<LogRow> rows)
      throws SQLException {
    if (rows.isEmpty()) {
      return;
    }
    Map<Object, LogRow> live = new LinkedHashMap<>();
    for (LogRow row : rows) {
      KeyValue kv = row.kv();
      live.put(kv.key(), row);
    }
    dialect.write(target, new Changes(rows, live.values(), new AttributeChanges()));
  }

  private static void copyLeases(Session source, Session target) throws SQLException {
    PreparedStatement insert =
        target.prepare("INSERT INTO lease (id, ttl, expires_at) VALUES (?, ?, ?)");
    try (ResultSet rows = source.prepare("SELECT id, ttl, expires_at FROM lease").executeQuery()) {
      while (rows.next()) {
        insert.setLong(1, rows.getLong(1));
        insert.setLong(2, rows.getLong(2));
        insert.setLong(3, rows.getLong(3));
        insert.executeUpdate();
      }
    }
  }

  /**
   * Fills an empty database from a snapshot.
   *
   * @param file the snapshot, as {@code etcdctl snapshot save} writes it
   * @return the revision that the store is at now
   * @throws OpenException in one sentence, why it cannot be restored; nothing has been changed then
   */
  public static long restore(Path file, SqlOptions options) throws OpenException {
    Path copy = null;
    try {
      copy = Files.createTempFile("harikube-restore", ".db");
      verify(file, copy);
      try (Session source = new Session(DriverManager.getConnection("jdbc:sqlite:" + copy))) {
        Meta meta = readMeta(file, source);
        fill(source, meta, options);
        return meta.revision();
      }
    } catch (IOException e) {
      throw new OpenException("cannot read the snapshot " + file + ": " + e, e);
    } catch (SQLException e) {
      throw new OpenException("cannot restore the snapshot " + file + ": " + e.getMessage(), e);
    } finally {
      delete(copy);
    }
  }

  private static void delete(@Nullable Path file) {
    if (file != null && !file.toFile().delete()) {
      file.toFile().deleteOnExit();
    }
  }

  /** Copies the database out of the snapshot; checks the checksum if there is one. */
  private static void verify(Path file, Path copy) throws IOException, OpenException {
    if (!Files.isRegularFile(file)) {
      throw new OpenException("there is no snapshot " + file);
    }
    long size = Files.size(file);
    boolean checksum = size % 512 == SHA_BYTES;
    long data = checksum ? size - SHA_BYTES : size;
    if (data == 0 || data % 512 != 0) {
      throw new OpenException(file + " is not a snapshot, or is cut short");
    }
    MessageDigest sha = sha256();
    byte[] found = new byte[SHA_BYTES];
    try (InputStream in = Files.newInputStream(file);
        FileChannel out = FileChannel.open(copy, StandardOpenOption.WRITE)) {
      DigestInputStream digest = new DigestInputStream(in, sha);
      out.transferFrom(Channels.newChannel(digest), 0, data);
      if (checksum && in.readNBytes(found, 0, SHA_BYTES) != SHA_BYTES) {
        throw new OpenException(file + " is cut short");
      }
    }
    if (checksum && !Arrays.equals(sha.digest(), found)) {
      throw new OpenException(file + " is damaged: its checksum does not fit");
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Meta readMeta(Path file, Session source) throws OpenException {
    int version;
    try (ResultSet rows = source.prepare("SELECT schema_version FROM meta").executeQuery()) {
      version = rows.next() ? rows.getInt(1) : 0;
      if (version <= Schema.VERSION) {
        Schema.upgrade(
            new SqliteDialect(SqlOptions.of(new Endpoint.Sqlite(file)), StoreMetrics.NONE),
            source,
            version);
        return Meta.read(source);
      }
    } catch (SQLException e) {
      throw new OpenException(file + " is not a snapshot of a HariKube store", e);
    }
    throw new OpenException(
        file
            + " was written by a newer server: it has schema version "
            + version
            + ", this server knows "
            + Schema.VERSION);
  }

  private static void fill(Session source, Meta meta, SqlOptions options)
      throws OpenException, SQLException {
    try (Dialect dialect = SqlStore.dialect(options, StoreMetrics.NONE)) {
      dialect.prepare();
      try (Session target = dialect.connectWriter()) {
        dialect.begin(target);
        if (dialect.hasSchema(target)) {
          dialect.rollback(target);
          throw new OpenException(
              "the database at "
                  + SqlStore.name(options.endpoint())
                  + " already holds a store: restore into an empty one");
        }
        Schema.migrate(dialect, target);
        writeMeta(target, meta, false);
        long from = 0;
        while (from >= 0) {
          List<LogRow> rows = page(source, from, Ids.first(meta.revision() + 1));
          write(dialect, target, rows);
          from = rows.size() < PAGE ? -1 : rows.getLast().id() + 1;
        }
        copyLeases(source, target);
        dialect.commit(target);
      }
    }
  }
}
