package io.harikube.sql;

import io.harikube.store.AttributeReader;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.StoreException;
import java.sql.SQLException;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gathers the attributes of keys that were written before there was a table for them, in small
 * steps between the writes. Until it has been everywhere, ranges are not filtered; a server that
 * stops before begins anew.
 */
final class AttributeBackfill implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(AttributeBackfill.class);
  private static final int STEP = 500;
  private static final long STEP_BYTES = 4 << 20;
  private static final long RETRY_MILLIS = 500;

  private record Found(KeyValue kv, Attributes attributes) {}

  private final Dialect dialect;
  private final Writer writer;
  private final AttributeReader reader;
  private final Thread thread =
      Thread.ofPlatform().daemon().name("attributes").unstarted(this::loop);
  private volatile boolean closed;

  AttributeBackfill(Dialect dialect, Writer writer, AttributeReader reader) {
    this.dialect = dialect;
    this.writer = writer;
    this.reader = reader;
  }

  void start() {
    thread.start();
  }

  private void loop() {
    long keys = 0;
    @Nullable Bytes cursor = Bytes.EMPTY;
    try {
      while (cursor != null && !closed) {
        try {
          Collector page = new Collector(Unlimited.share(), 0);
          page.page(STEP_BYTES);
          Bytes from = cursor;
          Bytes next =
              dialect
                  .readers()
                  .snapshot(
                      session -> Ranges.live(session, new KeyRange(from, null), STEP, false, page));
          List<Found> found =
              page.kvs().stream()
                  .map(kv -> new Found(kv, reader.read(kv.key(), kv.value())))
                  .toList();
          run(
              batch -> {
                for (Found key : found) {
                  batch.index(key.kv.key(), key.kv.modRevision(), key.attributes);
                }
                return true;
              });
          keys += page.size();
          cursor = next;
        } catch (SQLException | StoreException | CompletionException e) {
          LOG.warn("gathering attributes is put off: {}", e.getMessage());
          TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
        }
      }
      if (!closed) {
        run(
            batch -> {
              batch.setIndexed();
              return true;
            });
        LOG.info("the attributes of {} keys have been gathered", keys);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (CompletionException e) {
      LOG.warn("the next start gathers the attributes again: {}", e.getMessage());
    }
  }

  private void run(Job.Work<Boolean> work) {
    writer.submit(new Job<>(Set.of(), work)).join();
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
