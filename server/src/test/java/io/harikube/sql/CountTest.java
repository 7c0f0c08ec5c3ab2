package io.harikube.sql;

import static io.harikube.testing.Ops.countOnly;
import static io.harikube.testing.Ops.delete;
import static io.harikube.testing.Ops.keysOnly;
import static io.harikube.testing.Ops.prefix;
import static io.harikube.testing.Ops.put;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** How many keys there are below a prefix that is asked for again and again. */
@OnSqlDatabases
final class CountTest {
  private static final List<String> FOLDERS = List.of("/r/a/", "/r/a/x/", "/r/b/", "/r/");

  /** More than are remembered of one prefix. */
  private static final int MANY = 3000;

  @AutoClose private final TestStore store;

  CountTest(Database database) {
    store = database.open();
    store.put("/first", "1");
  }

  private long count(String folder, long revision) {
    return store.range(countOnly(prefix(folder), 0, revision)).count();
  }

  private long listed(String folder, long revision) {
    return store.range(keysOnly(prefix(folder)).atRevision(revision)).kvs().size();
  }

  @Test
  void isRightWhileKeysComeAndGo() {
    List<CompletableFuture<Void>> writers = new ArrayList<>();
    for (int seed = 0; seed < 4; seed++) {
      Random random = new Random(seed);
      writers.add(CompletableFuture.runAsync(() -> write(random)));
    }
    Random random = new Random(9);
    boolean last = false;
    while (!last) {
      last = writers.stream().allMatch(CompletableFuture::isDone);
      for (String folder : FOLDERS) {
        OpResult.Range now = store.range(countOnly(prefix(folder), 0, 0));
        assertThat(now.count())
            .as("%s at %s", folder, now.revision())
            .isEqualTo(listed(folder, now.revision()));
        long before = Math.max(2, now.revision() - random.nextInt(100));
        assertThat(count(folder, before))
            .as("%s at %s", folder, before)
            .isEqualTo(listed(folder, before));
      }
    }
    writers.forEach(Await::answer);
  }

  private void write(Random random) {
    for (int i = 0; i < 400; i++) {
      String folder = FOLDERS.get(random.nextInt(FOLDERS.size()));
      String key = folder + random.nextInt(20);
      switch (random.nextInt(8)) {
        case 0 -> store.txn(put(key, "1"), put(folder + "more", "1"), delete(folder + "other"));
        case 1 -> store.txn(delete(prefix(key)));
        case 2, 3 -> store.delete(key);
        default -> store.put(key, "1");
      }
    }
  }

  @Test
  void pagesTellHowManyKeysThereAre() {
    for (int i = 0; i < 10; i++) {
      store.put("/r/a/" + i, "1");
      RangeQuery page = RangeQuery.of(prefix("/r/a/")).withLimit(2);
      assertThat(store.range(page).count()).isEqualTo(i + 1);
    }
  }

  @Test
  void changesThatAreTooOldToBeRememberedAreCounted() {
    store.put("/r/a/0", "1");
    assertThat(count("/r/a/", 0)).isEqualTo(1);
    for (int i = 1; i <= MANY; i += 2) {
      store.put("/r/a/" + i, "1");
      store.put("/r/a/" + (i + 1), "1");
      store.delete("/r/a/" + i);
    }
    long now = store.revision();
    assertThat(count("/r/a/", 0)).isEqualTo(listed("/r/a/", now)).isEqualTo(1 + MANY / 2);
    for (long revision = 2; revision < now; revision += 100) {
      assertThat(count("/r/a/", revision)).isEqualTo(listed("/r/a/", revision));
    }
  }

  @Test
  void theDatabaseIsNotAskedAgain() {
    store.put("/r/a/1", "1");
    store.put("/r/a/2", "1");
    assertThat(count("/r/a/", 0)).isEqualTo(2);
    store.execute("DELETE FROM live");
    assertThat(count("/r/a/", 0)).isEqualTo(2);
    store.put("/r/a/3", "1");
    assertThat(count("/r/a/", 0)).isEqualTo(3);
    assertThat(count("/r/", 0)).isEqualTo(1);
  }
}
