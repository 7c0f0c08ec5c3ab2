package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreException;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Knows which attributes can be relied on, and gathers those of keys that were written before: for
 * a store of an older schema all of them, else those of a name that has been added. Keys are looked
 * at in small steps between the writes; until all have been, ranges look at the values for what is
 * missing, and a server that stops before begins anew.
 *
 * <pre>
 *   unknown ── gather: new puts have it, the others are gone through ──► ready from a revision on
 *      ▲                                                                     │
 *      └───────────────────────────── forget ◄──────────────────────────────┘
 * </pre>
 */
final class AttributeIndex implements Walk.Attributed, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(AttributeIndex.class);
  private static final int STEP = 500;
  private static final long RETRY_MILLIS = 500;

  private record Step(List<KeyValue> kvs, @Nullable KeyRange rest) {}

  private record Found(Bytes key, long modRevision, Attributes attributes) {}

  /**
   * Since when a name can be relied on.
   *
   * @param revision the first state that it is known of
   * @param commit the first commit that has it: a snapshot from before, though of the same
   *     revision, has a part of it
   */
  private record Ready(long revision, long commit) {
    /** From the commit on that a batch becomes. */
    static Ready from(Batch batch) {
      return new Ready(batch.revision(), batch.commit());
    }

    boolean at(long revision, Meta meta) {
      return this.revision <= revision && commit <= meta.commits();
    }
  }

  /** Keys to be looked at, and what then is to be done; it answers since when that counts. */
  private record Task(KeyRange range, Job.Work<Ready> end, CompletableFuture<Ready> done) {}

  private final Dialect dialect;
  private final Writer writer;
  private final AttributeReader reader;

  /** Names that can be relied on. */
  private final Map<AttributeName, Ready> ready = new ConcurrentHashMap<>();

  /** Names that are being gathered, with who does so: whoever is not here has been overtaken. */
  private final Map<AttributeName, Object> wanted = new ConcurrentHashMap<>();

  private final LinkedBlockingQueue<Task> tasks = new LinkedBlockingQueue<>();
  private final Thread thread =
      Thread.ofPlatform().daemon().name("attributes").unstarted(this::loop);
  private volatile boolean closed;

  AttributeIndex(Dialect dialect, Writer writer, AttributeReader reader) {
    this.dialect = dialect;
    this.writer = writer;
    this.reader = reader;
  }

  void start(Meta meta) throws SQLException {
    ready.putAll(dialect.readers().snapshot((session, now) -> readReady(session, now.commits())));
    indexIfNeeded(meta);
    thread.start();
  }

  private static Map<AttributeName, Ready> readReady(Session session, long commit)
      throws SQLException {
    Map<AttributeName, Ready> found = new HashMap<>();
    try (ResultSet rows =
        session.prepare("SELECT name, revision FROM attribute_ready").executeQuery()) {
      while (rows.next()) {
        found.put(Rows.name(rows, 1), new Ready(rows.getLong(2), commit));
      }
    }
    return found;
  }

  /** The database has lost commits: until it is known what it has, no name is relied on. */
  void reload(Meta meta) {
    ready.clear();
    indexIfNeeded(meta);
    var _ =
        writer
            .submit(
                new Job<>(
                    Set.of(),
                    batch -> {
                      batch.markDirty(); // what the commit has is what is read
                      return readReady(batch.session(), batch.commit());
                    }))
            .thenAccept(ready::putAll);
  }

  private void indexIfNeeded(Meta meta) {
    if (meta.indexed() < 0) {
      var _ =
          add(
              new KeyRange(Bytes.EMPTY, null),
              batch -> {
                batch.setIndexed();
                return Ready.from(batch);
              });
    }
  }

  @Override
  public Filter reliable(Filter filter, long revision, Meta meta) {
    boolean indexed = meta.indexed() >= 0 && revision >= meta.indexed();
    return filter.only(name -> indexed && (!name.isAdded() || isReady(name, revision, meta)));
  }

  private boolean isReady(AttributeName name, long revision, Meta meta) {
    Ready since = ready.get(name);
    return since != null && since.at(revision, meta);
  }

  @Override
  public boolean matches(Filter filter, KeyValue kv) {
    return filter.matches(kv.key(), reader.read(kv.key(), kv.value()));
  }

  Set<AttributeName> ready() {
    return Set.copyOf(ready.keySet());
  }

  /** See {@link io.harikube.store.Store#gather}. */
  CompletableFuture<Void> gather(KeyRange range, List<AttributeName> names) {
    Object gatherer = new Object();
    names.forEach(name -> wanted.put(name, gatherer));
    return add(range, batch -> end(batch, names, gatherer))
        .thenAccept(since -> names.forEach(name -> settle(name, gatherer, since)));
  }

  private void settle(AttributeName name, Object gatherer, Ready since) {
    wanted.computeIfPresent(
        name,
        (_, last) -> {
          if (!last.equals(gatherer)) {
            return last;
          }
          ready.put(name, since);
          return null;
        });
  }

  /** Writes that what has been gathered counts, but for names that have been forgotten since. */
  private Ready end(Batch batch, List<AttributeName> names, Object gatherer) throws SQLException {
    List<AttributeName> still =
        names.stream().filter(name -> gatherer.equals(wanted.get(name))).toList();
    remove(batch, still);
    PreparedStatement insert =
        batch.session().prepare("INSERT INTO attribute_ready (name, revision) VALUES (?, ?)");
    for (AttributeName name : still) {
      insert.setBytes(1, Rows.bytes(name));
      insert.setLong(2, batch.revision());
      insert.executeUpdate();
    }
    return Ready.from(batch);
  }

  /** See {@link io.harikube.store.Store#forget}. */
  CompletableFuture<Void> forget(List<AttributeName> names) {
    for (AttributeName name : names) {
      wanted.compute(
          name,
          (_, _) -> {
            ready.remove(name);
            return null;
          });
    }
    return writer
        .submit(
            new Job<>(
                Set.of(),
                batch -> {
                  remove(batch, names);
                  return true;
                }))
        .thenAccept(_ -> {});
  }

  private static void remove(Batch batch, List<AttributeName> names) throws SQLException {
    PreparedStatement delete =
        batch.session().prepare("DELETE FROM attribute_ready WHERE name = ?");
    for (AttributeName name : names) {
      delete.setBytes(1, Rows.bytes(name));
      delete.executeUpdate();
    }
    batch.markDirty();
  }

  private CompletableFuture<Ready> add(KeyRange range, Job.Work<Ready> end) {
    Task task = new Task(range, end, new CompletableFuture<>());
    tasks.add(task);
    return task.done;
  }

  private void loop() {
    try {
      while (!closed) {
        Task task = tasks.take();
        while (!closed && !attempt(task)) {
          TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean attempt(Task task) {
    try {
      // What has been handed over before has been committed after this, with the attributes of
      // then.
      run(Set.of(), _ -> true);
      long keys = gather(task.range);
      if (!closed) {
        task.done.complete(run(Set.of(), task.end));
        LOG.info("attributes of {} keys have been gathered", keys);
      }
      return true;
    } catch (SQLException | StoreException | CompletionException e) {
      LOG.warn("gathering attributes begins again: {}", e.getMessage());
      return false;
    }
  }

  private long gather(KeyRange range) throws SQLException {
    long keys = 0;
    KeyRange rest = range;
    while (!closed && rest != null && !rest.isEmpty()) {
      KeyRange from = rest;
      Step step = dialect.readers().snapshot((session, _) -> step(session, from));
      List<Found> found =
          step.kvs.stream()
              .map(kv -> new Found(kv.key(), kv.modRevision(), reader.read(kv.key(), kv.value())))
              .toList();
      run(
          found.stream().map(Found::key).collect(Collectors.toSet()),
          batch -> {
            for (Found key : found) {
              batch.index(key.key, key.modRevision, key.attributes);
            }
            return true;
          });
      keys += found.size();
      rest = step.rest;
    }
    return keys;
  }

  private static Step step(Session session, KeyRange from) throws SQLException {
    Collector page = new Collector(Unlimited.share(), 0);
    page.page(Values.GROUP_BYTES);
    KeyRange rest = Ranges.live(session, from, STEP, false, page);
    return new Step(page.kvs(), rest);
  }

  private <T> T run(Set<Bytes> keys, Job.Work<T> work) {
    return writer.submit(new Job<>(keys, work)).join();
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
