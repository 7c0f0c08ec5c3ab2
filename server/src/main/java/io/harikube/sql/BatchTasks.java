package io.harikube.sql;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Task;
import io.harikube.store.TaskRules;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The tasks that the changes of a batch make necessary, and those of which it ends the waiting. */
final class BatchTasks implements TaskRules.Sink {

  /**
   * A task that is to be written.
   *
   * @param name of the attribute that some key must have; null for no condition
   * @param values that it may have; empty for any
   */
  private record Pending(Task task, @Nullable AttributeName name, List<String> values) {}

  /**
   * The ids that were given last. None is given twice, also if its task is done: whoever has read
   * the task before that would take the new one for it. So the last one is asked for before any
   * task is written or removed.
   */
  static final class Ids {
    private long last;
    private boolean known;

    /** The id before the next one. It is asked for once: nobody else writes tasks. */
    long last(Session session) throws SQLException {
      if (!known) {
        try (ResultSet rows = session.prepare("SELECT max(id) FROM task").executeQuery()) {
          last = Math.max(last, rows.next() ? rows.getLong(1) : 0);
        }
        known = true;
      }
      return last;
    }

    /** Somebody else may have written tasks. */
    void doubt() {
      known = false;
    }

    void given(long id) {
      last = id;
    }
  }

  private final Ids ids;
  private final List<Pending> pending = new ArrayList<>();
  private final Set<String> woken = new LinkedHashSet<>();
  private boolean anyWoken;

  BatchTasks(Ids ids) {
    this.ids = ids;
  }

  @Override
  public void add(Task task) {
    pending.add(new Pending(task, null, List.of()));
  }

  @Override
  public void addIf(AttributeName name, List<String> values, Task task) {
    pending.add(new Pending(task, name, values));
  }

  @Override
  public void wake(String subject) {
    woken.add(subject);
  }

  /** Some have been woken already: whoever listens is to be told. */
  void woken() {
    anyWoken = true;
  }

  boolean isEmpty() {
    return pending.isEmpty() && woken.isEmpty() && !anyWoken;
  }

  /**
   * Writes the tasks; all changes of the batch must have been written.
   *
   * @return whether any task may have become ready
   */
  boolean write(Dialect dialect, Session session) throws SQLException {
    Map<List<String>, Set<AttributeName>> asked = new HashMap<>();
    for (Pending one : pending) {
      if (one.name != null) {
        asked.computeIfAbsent(one.values, _ -> new HashSet<>()).add(one.name);
      }
    }
    Map<List<String>, Set<AttributeName>> found = new HashMap<>();
    for (Map.Entry<List<String>, Set<AttributeName>> entry : asked.entrySet()) {
      found.put(entry.getKey(), dialect.present(session, entry.getValue(), entry.getKey()));
    }
    List<Task> tasks =
        pending.stream()
            .filter(
                one ->
                    one.name == null || found.getOrDefault(one.values, Set.of()).contains(one.name))
            .map(Pending::task)
            .toList();
    insert(session, tasks, false);
    wake(session);
    boolean any = !tasks.isEmpty() || !woken.isEmpty() || anyWoken;
    pending.clear();
    woken.clear();
    anyWoken = false;
    return any;
  }

  void insert(Session session, List<Task> tasks, boolean waiting) throws SQLException {
    if (tasks.isEmpty()) {
      return;
    }
    long id = ids.last(session);
    PreparedStatement insert =
        session.prepare(
            "INSERT INTO task (id, kind, subject, key, waiting) VALUES (?, ?, ?, ?, ?)");
    for (Task task : tasks) {
      insert.setLong(1, ++id);
      insert.setBytes(2, Rows.bytes(task.kind()));
      insert.setBytes(3, Rows.bytes(task.subject()));
      insert.setBytes(4, task.key().array());
      insert.setInt(5, waiting ? 1 : 0);
      insert.addBatch();
    }
    insert.executeBatch();
    ids.given(id);
  }

  /** Removes tasks that are done. */
  void remove(Session session, List<Long> done) throws SQLException {
    ids.last(session);
    PreparedStatement delete = session.prepare("DELETE FROM task WHERE id = ?");
    for (long id : done) {
      delete.setLong(1, id);
      delete.addBatch();
    }
    delete.executeBatch();
  }

  /** Removes all tasks. */
  void clear(Session session) throws SQLException {
    ids.last(session);
    session.prepare("DELETE FROM task").executeUpdate();
  }

  private void wake(Session session) throws SQLException {
    if (woken.isEmpty()) {
      return;
    }
    PreparedStatement update =
        session.prepare("UPDATE task SET waiting = 0 WHERE subject = ? AND waiting = 1");
    for (String subject : woken) {
      update.setBytes(1, Rows.bytes(subject));
      update.addBatch();
    }
    update.executeBatch();
  }

  /** The key of a task, or what else of it is kept as bytes. */
  static Task read(ResultSet rows) throws SQLException {
    return new Task(rows.getLong(1), Rows.text(rows, 2), Rows.text(rows, 3), keyOf(rows));
  }

  private static Bytes keyOf(ResultSet rows) throws SQLException {
    return Rows.bytes(rows, 4);
  }
}
