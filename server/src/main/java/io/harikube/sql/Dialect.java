package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import java.sql.SQLException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What differs between the databases: how to connect, how to read and write many rows at once, how
 * to tell a lost connection from a refused statement, and how to give space back. All other SQL is
 * shared.
 */
interface Dialect extends AutoCloseable {

  /**
   * Makes the database if need be, and takes it for this process.
   *
   * @throws OpenException if it cannot be reached or belongs to another process
   */
  void prepare() throws OpenException;

  /** The tables that statements without the name of a schema find. */
  List<String> tables(Session session) throws SQLException;

  /** The statements that make the schema, of the newest version, in an empty database. */
  List<String> schema();

  /** The statements that make the tables of attributes. */
  List<String> attributeSchema();

  /** The statements that make the table of tasks. */
  List<String> taskSchema();

  /** Whether the database has the table meta. */
  boolean hasSchema(Session session) throws SQLException;

  /** A new connection for the writer, in no transaction. */
  Session connectWriter() throws SQLException;

  /** Begins a transaction of the writer; nobody else can write until it ends. */
  void begin(Session session) throws SQLException;

  void commit(Session session) throws SQLException;

  void rollback(Session session) throws SQLException;

  /** The connections for reading. */
  Readers readers();

  /** A connection for health and metrics, which wait for nobody who reads, and not for long. */
  Readers probes();

  /** Begins a snapshot on a connection for reading, and reads the table meta in it. */
  Meta beginSnapshot(Session session) throws SQLException;

  /** Ends a snapshot, in which a statement may have {@code failed}. */
  void endSnapshot(Session session, boolean failed) throws SQLException;

  /**
   * From now on no read is answered from a database that has not got as far as what {@code
   * acknowledged} answers when the read begins.
   */
  void floor(Supplier<Meta> acknowledged);

  /** Reads one key; see {@link Points#read}. */
  CompletableFuture<@Nullable Point> point(Bytes key);

  /**
   * Reads keys as they are now.
   *
   * @param maxBytes how much the values may weigh together; those that are too large for that do
   *     not come with their keys
   * @param known gets the live rows of {@code keys}, null for a key that there is not
   * @param attributes gets the attributes of those that there are; null if nobody wants them
   */
  void fetch(
      Session session,
      Collection<Bytes> keys,
      long maxBytes,
      Map<Bytes, @Nullable Head> known,
      @Nullable AttributeChanges attributes)
      throws SQLException;

  /**
   * Which attributes any key has.
   *
   * @param values those that count; empty for all
   */
  Set<AttributeName> present(Session session, Collection<AttributeName> names, List<String> values)
      throws SQLException;

  /** Writes changes. */
  void write(Session session, Changes changes) throws SQLException;

  /**
   * Writes the last changes of a batch and the new state of the store, and commits.
   *
   * <p>The state comes first: what another writer has written would be in the way of the changes.
   *
   * @param committing called once, before the changes can become durable
   * @return false if another writer has taken the database over; then nothing is committed, and the
   *     transaction is to be rolled back
   */
  default boolean commit(Session session, Changes changes, Meta meta, Runnable committing)
      throws SQLException {
    if (!meta.write(session)) {
      return false;
    }
    write(session, changes);
    committing.run();
    commit(session);
    return true;
  }

  /**
   * Looks, in a transaction that has changed nothing, whether its writer still has the database;
   * the transaction may have ended afterwards.
   */
  default boolean stillOurs(Session session, long epoch) throws SQLException {
    return Epochs.holds(session, epoch);
  }

  /** Lets others see, for as long as the connection lives, that a writer does. */
  default void showLife(Session session, long writer) throws SQLException {}

  /** Whether a writer is seen to live. */
  default boolean lives(Session session, long writer) throws SQLException {
    return false;
  }

  /** Whether other servers can reach the database, so that one of them may take it at any time. */
  boolean isShared();

  /** Deletes rows of the log; answers how many of them there were. */
  int delete(Session session, List<Long> ids) throws SQLException;

  /** What {@code e} says of the database. */
  Failure failure(SQLException e);

  /**
   * Whether the connection that {@code e} comes from can be used again after a rollback. If not it
   * is to be closed: nobody knows in which state it is.
   */
  boolean goesOn(SQLException e);

  /** Bytes that the database takes, and how many of them are in use. */
  long[] size(Session session) throws SQLException;

  /**
   * Called by the writer after a commit, outside of a transaction: a place for the database's own
   * housekeeping.
   */
  void afterCommit(Session session) throws SQLException;

  /** Gives a bounded part of the free space back; answers whether there is more to give back. */
  boolean vacuumStep(Session session) throws SQLException;

  /** Gives all free space back; writes wait meanwhile. */
  void defragment(Session session) throws SQLException;

  @Override
  void close();
}
