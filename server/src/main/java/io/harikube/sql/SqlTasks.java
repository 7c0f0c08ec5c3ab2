package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Task;
import io.harikube.store.Tasks;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** The table task. */
final class SqlTasks implements Tasks {
  private static final String SELECT = "SELECT id, kind, subject, key FROM task";

  /** So many are woken at once: many wait for the same kind, and writers wait meanwhile. */
  private static final int STEP = 500;

  private final Dialect dialect;
  private final Writer writer;
  private final SqlFailures failures;

  SqlTasks(Dialect dialect, Writer writer, SqlFailures failures) {
    this.dialect = dialect;
    this.writer = writer;
    this.failures = failures;
  }

  private interface Query<T> {
    T run(Session session) throws SQLException;
  }

  private <T> T snapshot(Query<T> query) {
    return failures.call(() -> dialect.readers().snapshot((session, _) -> query.run(session)));
  }

  private static List<Task> tasks(PreparedStatement select) throws SQLException {
    List<Task> tasks = new ArrayList<>();
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        tasks.add(BatchTasks.read(rows));
      }
    }
    return tasks;
  }

  @Override
  public List<Task> ready(int limit) {
    return snapshot(
        session -> {
          PreparedStatement select =
              session.prepare(SELECT + " WHERE waiting = 0 ORDER BY id LIMIT ?");
          select.setInt(1, limit);
          return tasks(select);
        });
  }

  @Override
  public List<Task> about(Collection<String> subjects) {
    return snapshot(
        session -> {
          List<Task> found = new ArrayList<>();
          // In no order: for that a planner might read all tasks by their ids.
          PreparedStatement select = session.prepare(SELECT + " WHERE subject = ? AND waiting = 0");
          for (String subject : Set.copyOf(subjects)) {
            select.setBytes(1, Rows.bytes(subject));
            found.addAll(tasks(select));
          }
          found.sort(Comparator.comparingLong(Task::id));
          return found;
        });
  }

  @Override
  public long count(boolean waiting) {
    return snapshot(
        session -> {
          PreparedStatement select = session.prepare("SELECT count(*) FROM task WHERE waiting = ?");
          select.setInt(1, waiting ? 1 : 0);
          try (ResultSet rows = select.executeQuery()) {
            return rows.next() ? rows.getLong(1) : 0;
          }
        });
  }

  @Override
  public List<Bytes> keysWith(AttributeName name, List<String> values, Bytes after, int limit) {
    return snapshot(
        session -> {
          // Of each value by itself: so the index has them in the order of the keys.
          TreeSet<Bytes> keys = new TreeSet<>();
          for (String value : values.isEmpty() ? values(session, name) : values) {
            PreparedStatement select =
                session.prepare(
                    "SELECT key FROM attribute WHERE name = ? AND value = ? AND key > ?"
                        + " ORDER BY key LIMIT ?");
            select.setBytes(1, Rows.bytes(name));
            select.setBytes(2, Rows.bytes(value));
            select.setBytes(3, after.array());
            select.setInt(4, limit);
            try (ResultSet rows = select.executeQuery()) {
              while (rows.next()) {
                keys.add(Rows.bytes(rows, 1));
              }
            }
          }
          return keys.stream().limit(limit).toList();
        });
  }

  /** The values that a name has: one after the other is looked up, however many keys have it. */
  private static List<String> values(Session session, AttributeName name) throws SQLException {
    List<String> values = new ArrayList<>();
    PreparedStatement select =
        session.prepare(
            "SELECT value FROM attribute WHERE name = ? AND value > ? ORDER BY value LIMIT 1");
    byte[] last = first(session, name, values);
    while (last != null) {
      select.setBytes(1, Rows.bytes(name));
      select.setBytes(2, last);
      last = next(select, values);
    }
    return values;
  }

  private static byte @Nullable [] first(Session session, AttributeName name, List<String> values)
      throws SQLException {
    PreparedStatement select =
        session.prepare("SELECT value FROM attribute WHERE name = ? ORDER BY value LIMIT 1");
    select.setBytes(1, Rows.bytes(name));
    return next(select, values);
  }

  private static byte @Nullable [] next(PreparedStatement select, List<String> values)
      throws SQLException {
    try (ResultSet rows = select.executeQuery()) {
      if (!rows.next()) {
        return null;
      }
      String value = Rows.text(rows, 1);
      values.add(value);
      return Rows.bytes(value);
    }
  }

  @Override
  public CompletableFuture<Void> add(List<Task> tasks) {
    return submit(
        batch -> {
          for (Task task : tasks) {
            batch.tasks().add(task);
          }
        });
  }

  @Override
  public CompletableFuture<Void> park(Task task) {
    return submit(batch -> park(batch, task));
  }

  private static void park(Batch batch, Task task) throws SQLException {
    if (task.id() == 0) {
      batch.tasks().insert(batch.session(), List.of(task), true);
      return;
    }
    PreparedStatement update =
        batch.session().prepare("UPDATE task SET waiting = 1, kind = ?, subject = ? WHERE id = ?");
    update.setBytes(1, Rows.bytes(task.kind()));
    update.setBytes(2, Rows.bytes(task.subject()));
    update.setLong(3, task.id());
    update.executeUpdate();
  }

  @Override
  public CompletableFuture<Void> parkOnce(Task task) {
    return submit(
        batch -> {
          if (!isParked(batch.session(), task)) {
            park(batch, task);
          } else if (task.id() != 0) {
            batch.tasks().remove(batch.session(), List.of(task.id()));
          }
        });
  }

  private static boolean isParked(Session session, Task task) throws SQLException {
    PreparedStatement select =
        session.prepare(
            "SELECT 1 FROM task WHERE subject = ? AND key = ? AND kind = ? AND waiting = 1"
                + " AND id <> ? LIMIT 1");
    select.setBytes(1, Rows.bytes(task.subject()));
    select.setBytes(2, task.key().array());
    select.setBytes(3, Rows.bytes(task.kind()));
    select.setLong(4, task.id());
    try (ResultSet rows = select.executeQuery()) {
      return rows.next();
    }
  }

  @Override
  public CompletableFuture<Void> wake(Collection<String> subjects) {
    CompletableFuture<Void> all = CompletableFuture.completedFuture(null);
    for (String subject : Set.copyOf(subjects)) {
      all = all.thenCompose(_ -> wake(subject, 0));
    }
    return all;
  }

  private CompletableFuture<Void> wake(String subject, long after) {
    return wake(after, STEP, subject)
        .thenCompose(
            last -> last < 0 ? CompletableFuture.completedFuture(null) : wake(subject, last));
  }

  @Override
  public CompletableFuture<Long> wakeAfter(long id, int limit) {
    return wake(id, limit, null);
  }

  private CompletableFuture<Long> wake(long after, int limit, @Nullable String subject) {
    return writer.submit(
        new Job<>(
            Set.of(),
            batch -> {
              long last = wake(batch.session(), after, limit, subject);
              if (last >= 0) {
                batch.markDirty();
                batch.tasks().woken();
              }
              return last;
            }));
  }

  private static long wake(Session session, long after, int limit, @Nullable String subject)
      throws SQLException {
    String which = subject == null ? "" : "subject = ? AND ";
    PreparedStatement select =
        session.prepare(
            "SELECT id FROM task WHERE " + which + "waiting = 1 AND id > ? ORDER BY id LIMIT ?");
    int next = bind(select, subject, after);
    select.setInt(next, limit);
    long last = -1;
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        last = rows.getLong(1);
      }
    }
    if (last < 0) {
      return last; // as it mostly is when a kind becomes known
    }
    PreparedStatement update =
        session.prepare(
            "UPDATE task SET waiting = 0 WHERE " + which + "waiting = 1 AND id > ? AND id <= ?");
    update.setLong(bind(update, subject, after), last);
    update.executeUpdate();
    return last;
  }

  /** Answers the number of the next parameter. */
  private static int bind(PreparedStatement statement, @Nullable String subject, long after)
      throws SQLException {
    int next = 1;
    if (subject != null) {
      statement.setBytes(next++, Rows.bytes(subject));
    }
    statement.setLong(next++, after);
    return next;
  }

  @Override
  public CompletableFuture<Void> clear() {
    return submit(batch -> batch.tasks().clear(batch.session()));
  }

  @Override
  public CompletableFuture<Void> done(Collection<Long> ids) {
    List<Long> all = List.copyOf(ids);
    return submit(batch -> batch.tasks().remove(batch.session(), all));
  }

  private interface Change {
    void run(Batch batch) throws SQLException;
  }

  private CompletableFuture<Void> submit(Change change) {
    return writer
        .submit(
            new Job<>(
                Set.of(),
                batch -> {
                  change.run(batch);
                  batch.markDirty();
                  return true;
                }))
        .thenAccept(_ -> {});
  }

  @Override
  public void onReady(Runnable listener) {
    writer.onReady(listener);
  }
}
