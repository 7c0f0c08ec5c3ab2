package io.harikube.testing;

import io.harikube.sql.OpenException;
import io.harikube.sql.SqlOptions;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.Lease;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.store.Txn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A store under test, with its database and its clock, and its operations in the words of tests:
 * each waits for the answer, or throws what it was refused with.
 */
public final class TestStore implements AutoCloseable {
  private static final long BUDGET = 512L << 20;

  private final TestClock clock;
  private final MemoryBudget budget = new MemoryBudget(BUDGET);
  private final Place place;
  private final UnaryOperator<SqlOptions> options;
  private Store store;

  TestStore(Place place, UnaryOperator<SqlOptions> options) {
    this(place, options, new TestClock());
  }

  TestStore(Place place, UnaryOperator<SqlOptions> options, TestClock clock) {
    this.place = place;
    this.clock = clock;
    this.options = options;
    this.store = openStore();
  }

  private Store openStore() {
    try {
      return place.open(options, clock);
    } catch (OpenException e) {
      place.close();
      throw new AssertionError("the store does not open", e);
    }
  }

  public Store store() {
    return store;
  }

  public EventLog log() {
    return store.log();
  }

  public TestClock clock() {
    return clock;
  }

  public MemoryBudget budget() {
    return budget;
  }

  /** A connection to the database, beside those of the store. */
  public Connection connect() throws SQLException {
    return place.connect();
  }

  /** What the store is opened with. */
  public SqlOptions options() {
    return options.apply(place.options());
  }

  /** SQLite's database file. */
  public Path file() {
    if (place instanceof Place.InSqlite sqlite) {
      return sqlite.file();
    }
    throw new UnsupportedOperationException("the data is not in a file");
  }

  /** Closes the store and opens it again. */
  public void reopen() {
    store.close();
    store = openStore();
  }

  /** A store on what a crash at this moment would leave of SQLite's files; this one goes on. */
  public TestStore crashImage() throws IOException {
    Place.InSqlite image = new Place.InSqlite();
    SqliteImage.copy(file(), image.file());
    return new TestStore(image, options, clock);
  }

  /** The number that a query on the database itself answers. */
  public long number(String sql) {
    try (Connection connection = connect();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(sql)) {
      rows.next();
      return rows.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(sql, e);
    }
  }

  /** Changes the database behind the store's back. */
  public void execute(String sql) {
    try (Connection connection = connect();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new AssertionError(sql, e);
    }
  }

  /** Writes a snapshot to a file; answers the revision that it is of. */
  public long snapshot(Path file) throws IOException {
    AtomicLong announced = new AtomicLong();
    AtomicLong of = new AtomicLong();
    store.snapshot(
        (size, revision) -> {
          announced.set(size);
          of.set(revision);
          return Files.newOutputStream(file);
        });
    if (Files.size(file) != announced.get()) {
      throw new AssertionError(announced + " bytes announced, " + Files.size(file) + " written");
    }
    return of.get();
  }

  /** Opens a second store on the same database; the caller closes it. */
  public Store openAgain() throws OpenException {
    return place.open(options, clock);
  }

  public long revision() {
    return store.revision();
  }

  /** As a server does it: what only reads is not given to the writer. */
  public OpResult.Txn txn(Txn txn) {
    try (MemoryBudget.Share share = budget.open()) {
      return txn.isReadOnly() ? store.read(txn, share) : Await.answer(store.txn(txn, share));
    }
  }

  public OpResult.Txn txn(Txn.Op... ops) {
    return txn(Ops.all(ops));
  }

  /** Sets a key; answers the revision. */
  public long put(String key, String value) {
    return txn(Ops.put(key, value)).revision();
  }

  public long put(Bytes key, Bytes value) {
    return txn(Ops.put(key, value)).revision();
  }

  /** Sets a key with a lease; answers the revision. */
  public long put(String key, String value, long lease) {
    return txn(Ops.putWithLease(key, value, lease)).revision();
  }

  /** Deletes a key; answers the revision. */
  public long delete(String key) {
    return txn(Ops.delete(key)).revision();
  }

  /** As a server does it: a single key is not read as ranges are, if that is enough. */
  public OpResult.Range range(RangeQuery query) {
    try (MemoryBudget.Share share = budget.open()) {
      OpResult.Range point = query.isPoint() ? Await.answer(store.get(query, share)) : null;
      return point == null ? store.range(query, share) : point;
    }
  }

  public OpResult.Range range(KeyRange range) {
    return range(RangeQuery.of(range));
  }

  /** All keys at a revision. */
  public List<KeyValue> all(long revision) {
    return range(RangeQuery.of(Ops.ALL).atRevision(revision)).kvs();
  }

  /** The key, or null if there is none. */
  public @Nullable KeyValue find(String key) {
    List<KeyValue> kvs = range(Ops.key(key)).kvs();
    return kvs.isEmpty() ? null : kvs.getFirst();
  }

  /** The key. */
  public KeyValue get(String key) {
    KeyValue kv = find(key);
    if (kv == null) {
      throw new AssertionError("there is no key " + key);
    }
    return kv;
  }

  public Lease grant(long id, long ttl) {
    return Await.answer(store.grant(id, ttl));
  }

  /** Waits until these leases have ended, and until that has been published: it comes later. */
  public void awaitEnd(List<Long> ids) {
    Await.until(
        "the end of the leases " + ids,
        () -> ids.stream().allMatch(id -> store.lease(id, false) == null));
    long revision = range(Ops.key("")).revision();
    Await.until("revision " + revision, () -> store.revision() >= revision);
  }

  /** The lease with its keys. */
  public Lease lease(long id) {
    Lease lease = store.lease(id, true);
    if (lease == null) {
      throw new AssertionError("there is no lease " + id);
    }
    return lease;
  }

  public long revoke(long id) {
    return Await.answer(store.revoke(id));
  }

  public Lease keepAlive(long id) {
    return Await.answer(store.keepAlive(id));
  }

  /** Compacts, and waits until the space has been given back. */
  public long compact(long revision) {
    return Await.answer(store.compact(revision, true));
  }

  /** All events of a range between two revisions, page by page. */
  public List<Event> events(KeyRange range, long from, long to, boolean previous, int pageBytes) {
    List<Event> events = new ArrayList<>();
    long next = from;
    while (next <= to) {
      EventLog.Page page = log().read(range, next, to, previous, pageBytes);
      if (page.through() < next) {
        throw new AssertionError("the log gets nowhere at " + next + ": " + page);
      }
      events.addAll(page.events());
      next = page.through() + 1;
    }
    return events;
  }

  /** Why the action is refused. */
  public static StoreException.Reason refusal(Runnable action) {
    try {
      action.run();
    } catch (StoreException e) {
      return e.reason();
    }
    throw new AssertionError("it was not refused");
  }

  @Override
  public void close() {
    store.close();
    place.close();
  }
}
