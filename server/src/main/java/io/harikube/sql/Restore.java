package io.harikube.sql;

import io.harikube.store.StoreMetrics;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;

/**
 * Fills an empty database, SQLite or PostgreSQL, from a snapshot. As etcd's clients have it, a
 * SHA-256 of the file may follow the file itself.
 */
public final class Restore {
  /** How far a restored store goes ahead of its snapshot, unless somebody wants it otherwise. */
  public static final long BUMP = Meta.BUMP;

  /** In place of a file's path: the snapshot is what this process reads. */
  public static final Path STANDARD_INPUT = Path.of("-");

  private static final int SHA_BYTES = 32;

  private Restore() {}

  /** Where a restored store goes on. */
  public sealed interface From {}

  /**
   * At a revision that is {@code revisions} above the snapshot's, with everything below compacted.
   * The store that the snapshot is of must not have got as far meanwhile: then whoever knows a
   * revision of it is told to read anew.
   */
  public record Bumped(long revisions) implements From {
    public static final long LEAST = 2;

    /** The largest jump, after which there are revisions left for more than a few others. */
    public static final long MOST = 1_000_000_000_000L;

    public Bumped {
      if (revisions < LEAST || revisions > MOST) {
        throw new IllegalArgumentException("cannot go ahead by " + revisions + " revisions");
      }
    }
  }

  /** At the snapshot's revision, with its whole history: for a store that nobody knows yet. */
  public record Exact() implements From {}

  /**
   * Fills the database.
   *
   * @param file the snapshot, as {@code etcdctl snapshot save} writes it, or {@link
   *     #STANDARD_INPUT}
   * @return the revision that the store is at now
   * @throws OpenException in one sentence, why it cannot be restored; nothing has been changed then
   */
  public static long restore(Path file, SqlOptions options, From from) throws OpenException {
    try (ScratchFile copy = ScratchFile.create()) {
      verify(file, copy);
      Session source = copy.session();
      Meta meta = readMeta(file, source);
      Meta restored =
          switch (from) {
            case Exact() -> meta;
            case Bumped(long revisions) when meta.revision() > Ids.MAX_REVISION - revisions ->
                throw new OpenException(
                    file + " is at revision " + meta.revision() + ": there is no way beyond");
            case Bumped(long revisions) -> meta.bumped(meta.revision() + revisions);
          };
      fill(source, Ids.first(meta.revision() + 1), StoreCopy.state(source, restored), options);
      return restored.revision();
    } catch (IOException e) {
      throw new OpenException("cannot read the snapshot " + file + ": " + e, e);
    } catch (SQLException e) {
      throw new OpenException("cannot restore the snapshot " + file + ": " + e.getMessage(), e);
    }
  }

  /** Copies the database out of the snapshot; checks the checksum if there is one. */
  private static void verify(Path file, ScratchFile copy) throws IOException, OpenException {
    try (InputStream in = open(file)) {
      copy.copyFrom(in);
    }
    boolean checksum = copy.size() % 512 == SHA_BYTES;
    long data = checksum ? copy.size() - SHA_BYTES : copy.size();
    if (data == 0 || data % 512 != 0) {
      throw new OpenException(file + " is not a snapshot, or is cut short");
    }
    if (!checksum) {
      return;
    }
    DigestOutputStream digest = new DigestOutputStream(OutputStream.nullOutputStream(), sha256());
    WritableByteChannel sink = Channels.newChannel(digest);
    long read = 0;
    while (read < data) {
      read += copy.channel().transferTo(read, data - read, sink);
    }
    byte[] said = Channels.newInputStream(copy.channel().position(data)).readAllBytes();
    if (!Arrays.equals(digest.getMessageDigest().digest(), said)) {
      throw new OpenException(file + " is damaged: its checksum does not fit");
    }
    copy.channel().truncate(data);
  }

  private static InputStream open(Path file) throws IOException, OpenException {
    if (file.equals(STANDARD_INPUT)) {
      return System.in;
    }
    if (!Files.isRegularFile(file)) {
      throw new OpenException("there is no snapshot " + file);
    }
    return Files.newInputStream(file);
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

  private static void fill(Session source, long end, StoreCopy.State state, SqlOptions options)
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
        Schema.migrate(dialect, target, options.admission());
        StoreCopy.update(target, state);
        for (long from = 0; from >= 0; ) {
          LogPages.Page page = LogPages.read(source, LogPages.Scan.of(from, end));
          StoreCopy.write(dialect, target, page);
          from = page.next();
        }
        dialect.commit(target);
      }
    }
  }
}
