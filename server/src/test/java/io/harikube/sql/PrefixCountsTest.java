package io.harikube.sql;

import static io.harikube.testing.Ops.prefix;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

/** Which counts are known, and that none is wrong: a count that is not known is null. */
final class PrefixCountsTest {
  private static final KeyRange A = prefix("/a/");

  private final PrefixCounts counts = new PrefixCounts(10);

  private static Event created(String key, long revision) {
    return new Event(new KeyValue(Bytes.of(key), revision, revision, 1, Bytes.EMPTY, 0), null);
  }

  private static Event deleted(String key, long revision) {
    return new Event(KeyValue.deleted(Bytes.of(key), revision), null);
  }

  private static Event updated(String key, long revision) {
    return new Event(new KeyValue(Bytes.of(key), 2, revision, 2, Bytes.EMPTY, 0), null);
  }

  @Test
  void whatWasCountedFollowsTheChanges() {
    assertThat(counts.get(A, 10)).isNull();
    counts.counted(A, 10, 5);
    assertThat(counts.get(A, 10)).isEqualTo(5);
    counts.committing(
        List.of(
            created("/a/1", 11),
            created("/a/b/2", 11),
            created("/b/1", 11),
            updated("/a/1", 12),
            deleted("/a/1", 13)),
        14);
    assertThat(LongStream.rangeClosed(10, 14).mapToObj(at -> counts.get(A, at)))
        .containsExactly(5L, 7L, 7L, 6L, 6L);
    assertThat(counts.get(prefix("/a/b/"), 14)).isNull();
  }

  /** A snapshot may be older than what the writer has told meanwhile. */
  @Test
  void aCountOfAnOlderSnapshotIsBroughtUpToDate() {
    assertThat(counts.get(A, 10)).isNull();
    counts.committing(List.of(created("/a/1", 11), created("/a/2", 12)), 12);
    counts.counted(A, 11, 6);
    assertThat(counts.get(A, 10)).isEqualTo(5);
    assertThat(counts.get(A, 12)).isEqualTo(7);
  }

  @Test
  void aSnapshotFromBeforeTheFirstQuestionSaysNothing() {
    counts.committing(List.of(created("/a/1", 11)), 11);
    assertThat(counts.get(A, 10)).isNull();
    counts.counted(A, 10, 5);
    assertThat(counts.get(A, 11)).isNull();
    counts.counted(A, 11, 6);
    assertThat(counts.get(A, 11)).isEqualTo(6);
    assertThat(counts.get(A, 10)).isNull();
  }

  /** Another server may have written it. */
  @Test
  void aRevisionThatTheWriterHasNotToldOfIsNotKnown() {
    assertThat(counts.get(A, 10)).isNull();
    counts.counted(A, 10, 5);
    assertThat(counts.get(A, 11)).isNull();
    counts.counted(A, 11, 7);
    assertThat(counts.get(A, 10)).isEqualTo(5);
  }

  @Test
  void theOldestChangesAreForgotten() {
    assertThat(counts.get(A, 10)).isNull();
    counts.counted(A, 10, 0);
    for (long revision = 11; revision <= 3010; revision++) {
      counts.committing(List.of(created("/a/" + revision, revision)), revision);
    }
    assertThat(counts.get(A, 3010)).isEqualTo(3000);
    assertThat(counts.get(A, 2900)).isEqualTo(2890);
    assertThat(counts.get(A, 1000)).isNull();
    assertThat(counts.get(A, 10)).isNull();
  }

  @Test
  void nothingIsKnownAfterACommitOfTooManyChangesOrALostOne() {
    assertThat(counts.get(A, 10)).isNull();
    counts.counted(A, 10, 5);
    counts.committing(null, 11);
    assertThat(counts.get(A, 11)).isNull();
    counts.counted(A, 11, 9);
    assertThat(counts.get(A, 11)).isEqualTo(9);
    counts.committing(List.of(created("/a/1", 12)), 12);
    counts.clear(11);
    assertThat(counts.get(A, 11)).isNull();
  }

  @Test
  void theLeastRecentlyAskedForGivesWay() {
    for (int i = 0; i < 256; i++) {
      assertThat(counts.get(prefix("/" + i + "/"), 10)).isNull();
      counts.counted(prefix("/" + i + "/"), 10, i);
    }
    assertThat(counts.get(prefix("/0/"), 10)).isEqualTo(0);
    assertThat(counts.get(A, 10)).isNull();
    assertThat(counts.get(prefix("/0/"), 10)).isEqualTo(0);
    assertThat(counts.get(prefix("/1/"), 10)).isNull();
  }

  @Test
  void otherRangesAreNotCounted() {
    for (KeyRange range :
        List.of(
            prefix("/a"),
            prefix(""),
            new KeyRange(Bytes.of("/a/"), null),
            new KeyRange(Bytes.of("/a/"), Bytes.of("/a/5")),
            KeyRange.single(Bytes.of("/a/")))) {
      assertThat(counts.get(range, 10)).isNull();
      counts.counted(range, 10, 5);
      assertThat(counts.get(range, 10)).isNull();
    }
  }
}
