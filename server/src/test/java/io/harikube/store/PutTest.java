package io.harikube.store;

import static io.harikube.testing.Ops.put;
import static io.harikube.testing.Ops.putWithPrevious;
import static io.harikube.testing.TestStore.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.StoreException.Reason;
import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import io.harikube.testing.TestStore;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Setting a key: version, revisions, and the options of a put. */
@OnEveryDatabase
final class PutTest {
  private static final Bytes KEY = Bytes.of("a");

  @AutoClose private final TestStore store;

  PutTest(Database database) {
    store = database.open();
  }

  private static Txn.Put ignoring(
      String key, String value, boolean ignoreValue, boolean ignoreLease) {
    return new Txn.Put(Bytes.of(key), Bytes.of(value), 0, false, ignoreValue, ignoreLease);
  }

  @Test
  void aNewKeyHasVersionOne() {
    store.put("b", "1");
    store.put("a", "1");
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 3, 3, 1, Bytes.of("1"), 0));
  }

  @Test
  void aChangeKeepsTheCreateRevision() {
    store.put("a", "1");
    store.put("b", "1");
    store.put("a", "2");
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 4, 2, Bytes.of("2"), 0));
  }

  @Test
  void theSameValueIsAChange() {
    store.put("a", "1");
    store.put("a", "1");
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 3, 2, Bytes.of("1"), 0));
  }

  @Test
  void aDeletedKeyBeginsAnew() {
    store.put("a", "1");
    store.put("a", "2");
    store.delete("a");
    store.put("a", "3");
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 5, 5, 1, Bytes.of("3"), 0));
  }

  @Test
  void answersThePreviousIfAsked() {
    assertThat(store.txn(putWithPrevious("a", "1")).results())
        .containsExactly(new OpResult.Put(2, null));
    assertThat(store.txn(putWithPrevious("a", "2")).results())
        .containsExactly(new OpResult.Put(3, new KeyValue(KEY, 2, 2, 1, Bytes.of("1"), 0)));
    assertThat(store.txn(put("a", "3")).results()).containsExactly(new OpResult.Put(4, null));
    store.delete("a");
    assertThat(store.txn(putWithPrevious("a", "4")).results())
        .containsExactly(new OpResult.Put(6, null));
  }

  @Test
  void ignoreValueKeepsTheValue() {
    store.grant(7, 60);
    store.put("a", "1", 7);
    store.txn(ignoring("a", "", true, false));
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 3, 2, Bytes.of("1"), 0));
  }

  @Test
  void ignoreLeaseKeepsTheLease() {
    store.grant(7, 60);
    store.put("a", "1", 7);
    store.txn(ignoring("a", "2", false, true));
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 3, 2, Bytes.of("2"), 7));
  }

  @Test
  void ignoreValueTakesANewLease() {
    store.grant(7, 60);
    store.put("a", "1");
    store.txn(new Txn.Put(KEY, Bytes.EMPTY, 7, true, true, false));
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 3, 2, Bytes.of("1"), 7));
  }

  @Test
  void ignoringWhatIsNotThereIsRefused() {
    store.put("b", "1");
    store.delete("b");
    for (String key : new String[] {"a", "b"}) {
      assertThat(refusal(() -> store.txn(ignoring(key, "", true, false))))
          .isEqualTo(Reason.KEY_NOT_FOUND);
      assertThat(refusal(() -> store.txn(put("c", "1"), ignoring(key, "2", false, true))))
          .isEqualTo(Reason.KEY_NOT_FOUND);
    }
    assertThat(store.revision()).isEqualTo(3);
    assertThat(store.find("c")).isNull();
  }

  @Test
  void anEmptyValueIsAValue() {
    store.put("a", "");
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 2, 1, Bytes.EMPTY, 0));
    store.reopen();
    assertThat(store.get("a")).isEqualTo(new KeyValue(KEY, 2, 2, 1, Bytes.EMPTY, 0));
    store.put("b", "1");
    assertThat(store.all(2)).containsExactly(new KeyValue(KEY, 2, 2, 1, Bytes.EMPTY, 0));
  }
}
