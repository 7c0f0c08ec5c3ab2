package io.harikube.store;

import static io.harikube.testing.Ops.absent;
import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.get;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.when;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Commits as the listener of the log gets them. */
@OnEveryDatabase
final class SubscribeTest {
  private final List<Commit> commits = new CopyOnWriteArrayList<>();
  @AutoClose private final TestStore store;

  SubscribeTest(Database database) {
    store = database.open();
  }

  private List<Event> events() {
    List<Event> events = new ArrayList<>();
    for (Commit commit : commits) {
      assertThat(commit.events()).isNotNull();
      events.addAll(java.util.Objects.requireNonNull(commit.events()));
    }
    return events;
  }

  @Test
  void beginsAfterTheRevisionThatItAnswers() {
    store.put("a", "1");
    assertThat(store.log().subscribe(commits::add)).isEqualTo(2);
    store.put("a", "2");
    assertThat(commits).hasSize(1);
    assertThat(commits.getFirst().firstRevision()).isEqualTo(3);
    assertThat(commits.getFirst().lastRevision()).isEqualTo(3);
  }

  @Test
  void hasSeenACommitBeforeItIsAcknowledged() {
    store.log().subscribe(commits::add);
    for (int i = 0; i < 50; i++) {
      long revision = store.put("a", "" + i);
      assertThat(commits.getLast().lastRevision()).isEqualTo(revision);
    }
    store.grant(7, 60);
    store.put("b", "1", 7);
    long revision = store.revoke(7);
    assertThat(commits.getLast().lastRevision()).isEqualTo(revision);
  }

  @Test
  void whatItSeesIsDurableAndCanBeRead() {
    List<OpResult.Range> reads = new CopyOnWriteArrayList<>();
    List<CompletableFuture<?>> readers = new CopyOnWriteArrayList<>();
    store
        .log()
        .subscribe(
            commit ->
                readers.add(
                    CompletableFuture.runAsync(
                        () -> reads.add(store.range(Ops.key("a"))),
                        task -> Thread.ofVirtual().start(task))));
    store.put("a", "1");
    readers.forEach(Await::answer);
    assertThat(reads).hasSize(1).allMatch(read -> read.revision() == 2 && read.count() == 1);
  }

  @Test
  void theCommitsFollowEachOtherWithoutGap() {
    store.log().subscribe(commits::add);
    List<CompletableFuture<OpResult.Txn>> answers = new ArrayList<>();
    for (int i = 0; i < 1_000; i++) {
      Txn txn =
          switch (i % 4) {
            case 0 -> when(absent("k0"), List.of(), List.of(get("k0")));
            case 1 -> Ops.all(put("k" + i % 7, "" + i), put("l", "" + i));
            case 2 -> Ops.all(delete("k" + i % 7));
            default -> Ops.all(put("k0", "" + i));
          };
      answers.add(store.store().txn(txn, store.budget().open()));
    }
    answers.forEach(Await::answer);
    long expected = 2;
    for (Commit commit : commits) {
      assertThat(commit.firstRevision()).isEqualTo(expected);
      assertThat(commit.lastRevision()).isGreaterThanOrEqualTo(expected);
      expected = commit.lastRevision() + 1;
    }
    assertThat(expected).isEqualTo(store.revision() + 1);
    assertThat(events()).isEqualTo(store.events(Ops.ALL, 2, store.revision(), true, 1 << 20));
  }

  @Test
  void isNotToldOfWhatChangesNothing() {
    store.put("a", "1");
    store.log().subscribe(commits::add);
    store.txn(get("a"));
    store.txn(delete("b"));
    store.txn(when(absent("a"), List.of(put("a", "2")), List.of()));
    store.grant(7, 60);
    store.keepAlive(7);
    store.revoke(7);
    store.compact(2);
    assertThat(commits).isEmpty();
  }

  @Test
  void isToldOfLeasesThatExpire() {
    store.log().subscribe(commits::add);
    store.grant(7, 10);
    store.put("a", "1", 7);
    store.clock().advance(Duration.ofSeconds(10));
    Await.until("the end of the lease", () -> store.store().lease(7, false) == null);
    Await.until("its event", () -> commits.size() == 2);
    assertThat(events().getLast())
        .isEqualTo(
            new Event(
                KeyValue.deleted(Bytes.of("a"), 3),
                new KeyValue(Bytes.of("a"), 2, 2, 1, Bytes.of("1"), 7)));
  }

  @Test
  void theCurrentRevisionIsPublishedAfterItsEvents() {
    List<Long> seen = new CopyOnWriteArrayList<>();
    store.log().subscribe(commit -> seen.add(commit.lastRevision()));
    List<CompletableFuture<OpResult.Txn>> answers = new ArrayList<>();
    for (int i = 0; i < 500; i++) {
      answers.add(store.store().txn(Ops.all(put("a", "" + i)), store.budget().open()));
      long revision = store.revision();
      assertThat(revision == 1 || seen.getLast() >= revision).isTrue();
    }
    answers.forEach(Await::answer);
  }
}
