package io.harikube.store;

import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.put;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.TestStore;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** The checksum that tells whether two stores hold the same. */
@OnEveryDatabase
final class HashTest {
  @AutoClose private final TestStore store;
  private final Database database;

  HashTest(Database database) {
    this.database = database;
    store = database.open();
    write(store);
  }

  private static void write(TestStore store) {
    store.grant(7, 600);
    store.txn(put("a", "1"), put("b", "2"), put("\u00e4", "3"));
    store.put("a", "4", 7);
    store.delete("b");
    store.txn(delete("a"), put("c", ""));
  }

  private int hash(long revision) {
    return store.store().hash(revision).hash();
  }

  @Test
  void saysWhatItIsOf() {
    Store.Hash now = store.store().hash(0);
    assertThat(now.revision()).isEqualTo(5);
    assertThat(now.hashRevision()).isEqualTo(5);
    assertThat(now.compactedRevision()).isLessThanOrEqualTo(0);
    assertThat(store.store().hash(5)).isEqualTo(now);
    store.compact(3);
    Store.Hash old = store.store().hash(4);
    assertThat(old.revision()).isEqualTo(5);
    assertThat(old.hashRevision()).isEqualTo(4);
    assertThat(old.compactedRevision()).isEqualTo(3);
  }

  @Test
  void everyRevisionHasItsOwn() {
    assertThat(new int[] {hash(1), hash(2), hash(3), hash(4), hash(5)}).doesNotHaveDuplicates();
  }

  @Test
  void staysThroughWritesAndARestart() {
    int third = hash(3);
    int fourth = hash(4);
    store.put("d", "1");
    assertThat(hash(3)).isEqualTo(third);
    store.reopen();
    assertThat(hash(3)).isEqualTo(third);
    assertThat(hash(4)).isEqualTo(fourth);
  }

  /** etcd's checksum leaves out what has been compacted, so that it may change once. */
  @Test
  void staysOnceItHasBeenCompacted() {
    store.compact(3);
    int third = hash(3);
    int fourth = hash(4);
    store.reopen();
    assertThat(hash(3)).isEqualTo(third);
    assertThat(hash(4)).isEqualTo(fourth);
    try (TestStore other = database.open()) {
      write(other);
      Await.answer(other.store().compact(3, false));
      assertThat(other.store().hash(3).hash()).isEqualTo(third);
      assertThat(other.store().hash(4).hash()).isEqualTo(fourth);
    }
  }

  @Test
  void staysWhatWasAskedForWhenItsRevisionIsCompacted() {
    if (database == Database.MODEL) {
      return;
    }
    Store.Hash before = store.store().hash(3);
    store.compact(3);
    assertThat(store.store().hash(3)).isEqualTo(before);
    store.reopen();
    assertThat(store.store().hash(3).compactedRevision()).isEqualTo(3);
  }

  @Test
  void isTheSameInAnotherStoreOfTheSameHistory() {
    try (TestStore other = database.open()) {
      write(other);
      assertThat(other.store().hash(0).hash()).isEqualTo(hash(0));
      other.put("a", "1");
      assertThat(other.store().hash(0).hash()).isNotEqualTo(hash(0));
      assertThat(other.store().hash(5).hash()).isEqualTo(hash(0));
    }
  }

  @Test
  void isTheSameOnEveryDatabase() {
    if (database == Database.MODEL) {
      return;
    }
    try (TestStore other =
        (database == Database.SQLITE ? Database.POSTGRES : Database.SQLITE).open()) {
      write(other);
      for (long revision = 1; revision <= 5; revision++) {
        assertThat(other.store().hash(revision).hash()).isEqualTo(hash(revision));
      }
      store.compact(4);
      other.compact(4);
      assertThat(other.store().hash(4).hash()).isEqualTo(hash(4));
      assertThat(other.store().hash(5).hash()).isEqualTo(hash(5));
    }
  }

  @Test
  void whatWasAskedForIsAnsweredAgainAfterLaterCompactions() {
    if (database == Database.MODEL) {
      return;
    }
    Store.Hash before = store.store().hash(3);
    store.compact(3);
    store.compact(4);
    assertThat(store.store().hash(3)).isEqualTo(before);
    assertThat(refusal(() -> store.store().hash(2))).isEqualTo(StoreException.Reason.COMPACTED);
  }

  @Test
  void aNegativeRevisionHasNoKeys() {
    if (database == Database.MODEL) {
      return;
    }
    Store.Hash none = store.store().hash(-1);
    store.compact(4);
    assertThat(store.store().hash(-1).hash()).isEqualTo(none.hash()).isNotEqualTo(hash(0));
    assertThat(none.hashRevision()).isEqualTo(-1);
    assertThat(none.revision()).isEqualTo(5);
    try (TestStore empty = database.open()) {
      assertThat(empty.store().hash(0).hash()).isEqualTo(none.hash());
    }
  }
}
