package io.harikube.sql;

import io.harikube.log.RareLine;
import io.harikube.store.Commit;
import io.harikube.store.Event;
import io.harikube.store.EventLog;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreException;
import io.harikube.store.StoreException.Reason;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** The table log as watches see it. */
final class SqlLog implements EventLog {
  private static final RareLine TOO_LARGE =
      new RareLine(
          LoggerFactory.getLogger(SqlLog.class),
          Level.WARN,
          Duration.ofMinutes(1),
          "watches are told that it was compacted: {}");

  /** How many revisions one page looks at: bounds the work where few of them are in the range. */
  private static final int WINDOW = 20_000;

  private final Dialect dialect;
  private final Writer writer;
  private final SqlFailures failures;

  /** What the events of one revision, which are not to be torn apart, may weigh. */
  private final long revisionBytes = Runtime.getRuntime().maxMemory() / 8;

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
                .snapshot(
                    (session, meta) -> read(session, meta, range, from, to, previous, maxBytes)));
  }

  private Page read(
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
    LogPages.Page page =
        LogPages.revisions(
            session,
            new LogPages.Scan(range, Ids.first(from), Ids.first(end + 1), previous, false),
            maxBytes,
            Math.max(maxBytes, revisionBytes));
    if (page.next() == Ids.first(from)) {
      throw tooLarge(from);
    }
    List<Event> events = page.rows().stream().map(row -> event(row, meta.compacted())).toList();
    return new Page(
        events, page.next() < 0 ? Math.max(end, from - 1) : Ids.revision(page.next()) - 1);
  }

  /** What was before a revision is history that ends with the compaction of that revision. */
  private static Event event(LogPages.Row row, long compacted) {
    KeyValue kv = row.log().kv();
    return new Event(
        kv.version() == 0 ? KeyValue.deleted(kv.key(), kv.modRevision()) : kv,
        kv.modRevision() > compacted ? row.previous() : null);
  }

  /**
   * Who watches has to read anew, as after a compaction: nobody can be handed the events of this
   * revision.
   */
  private StoreException tooLarge(long revision) {
    String reason =
        "the changes of revision %d take more than %d MiB with what was before them"
            .formatted(revision, revisionBytes >> 20);
    TOO_LARGE.write(reason);
    return new StoreException(Reason.COMPACTED, reason);
  }

  @Override
  public long compactedRevision() {
    return Math.max(0, failures.call(() -> dialect.probes().single(Meta::read)).compacted());
  }
}
