package io.harikube.sql;

import io.harikube.store.Commit;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** The table log as watches see it. */
final class SqlLog implements EventLog {
  /** How many revisions one page looks at: bounds the work where few of them are in the range. */
  private static final int WINDOW = 20_000;

  private static final int FETCH_ROWS = 200;
  private static final String COLUMNS =
      "SELECT l.key, l.id, l.create_revision, l.version, l.lease, l.value";
  private static final String PREVIOUS =
      """
      , p.key, p.id, p.create_revision, p.version, p.lease, p.value
      FROM log l LEFT JOIN log p ON p.id = l.prev""";

  private final Dialect dialect;
  private final Writer writer;
  private final SqlFailures failures;

  SqlLog(Dialect dialect, Writer writer, SqlFailures failures) {
    this.dialect = dialect;
    this.writer = writer;
    this.failures = failures;
  }

  @Override
  public long subscribe(Consumer<Commit> listener) {
    writer.subscribe(listener);
    return writer.published();
  }

  @Override
  public Page read(KeyRange range, long from, long to, boolean previous, int maxBytes) {
    return failures.call(
        () ->
            dialect
                .readers()
                .snapshot((session, meta) -> read(session, meta, range, from, to, previous, maxBytes)));
  }

  private static Page read(
      Session session,
      Meta meta,
      KeyRange range,
      long from,
      long to,
      boolean previous,
      int maxBytes)
      throws SQLException {
    if (from < meta.compacted()) {
      throw new StoreException(
          Reason.COMPACTED, "revision " + from + " has been compacted up to " + meta.compacted());
    }
    long end = Math.min(Math.min(to, meta.revision()), from + WINDOW - 1);
    String key = "l.key";
    PreparedStatement select =
        session.prepare(
            COLUMNS
                + (previous ? PREVIOUS : " FROM log l")
                + " WHERE l.id >= ? AND l.id < ? AND "
                + Rows.condition(key, range)
                + " ORDER BY l.id");
    select.setFetchSize(FETCH_ROWS);
    select.setLong(1, Ids.first(from));
    select.setLong(2, Ids.first(end + 1));
    Rows.bind(select, 3, range);
    List<Event> events = new ArrayList<>();
    long bytes = 0;
    try (ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        KeyValue kv = Rows.keyValue(rows, 1);
        if (bytes >= maxBytes && kv.modRevision() != events.getLast().revision()) {
          return new Page(events, kv.modRevision() - 1);
        }
        // What was before a revision is history that ends with the compaction of that revision.
        Event event = event(kv, rows, previous && kv.modRevision() > meta.compacted());
        bytes += event.weight();
        events.add(event);
      }
    }
    return new Page(events, Math.max(end, from - 1));
  }

  private static Event event(KeyValue kv, ResultSet rows, boolean previous) throws SQLException {
    KeyValue shown = kv.version() == 0 ? KeyValue.deleted(kv.key(), kv.modRevision()) : kv;
    if (!previous || rows.getLong(10) == 0) {
      return new Event(shown, null);
    }
    return new Event(shown, Rows.keyValue(rows, 7));
  }

  @Override
  public long compactedRevision() {
    return Math.max(0, failures.call(() -> dialect.probes().single(Meta::read)).compacted());
  }
}
