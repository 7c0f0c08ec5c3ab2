package io.harikube.sql;

import io.harikube.store.Bytes;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Remembers how many keys are left behind a page, for the request that asks for the next page: a
 * walk through a large range then counts it once, not once for each page. The history at a revision
 * never changes while a writer has the database, so what is remembered stays true; another writer's
 * may be another copy.
 */
final class Counts {
  private static final int CAPACITY = 4096;

  private record Rest(long epoch, @Nullable Bytes end, long revision, Bytes start) {}

  private final Map<Rest, Long> counts =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Rest, Long> eldest) {
          return size() > CAPACITY;
        }
      };

  synchronized @Nullable Long get(long epoch, @Nullable Bytes end, long revision, Bytes start) {
    return counts.get(new Rest(epoch, end, revision, start));
  }

  synchronized void put(long epoch, @Nullable Bytes end, long revision, Bytes start, long count) {
    counts.put(new Rest(epoch, end, revision, start), count);
  }
}
