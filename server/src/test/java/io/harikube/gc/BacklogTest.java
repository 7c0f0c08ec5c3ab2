package io.harikube.gc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.Bytes;
import io.harikube.store.StoreException;
import io.harikube.store.Task;
import io.harikube.store.Tasks;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** How many tasks there are, whether the database answers or not. */
@OnSqlDatabases
final class BacklogTest {
  @AutoClose private final TestStore place;

  BacklogTest(Database database) {
    place = database.open();
  }

  @Test
  void tasksAreCounted() {
    Tasks tasks = place.store().tasks();
    Await.answer(
        tasks.add(
            List.of(Task.of("LOOK", "a", Bytes.of("k")), Task.of("LOOK", "b", Bytes.of("l")))));
    Await.answer(tasks.park(new Task(0, "LOOK", "c", Bytes.of("m"))));
    try (Backlog backlog = new Backlog(tasks)) {
      assertThat(backlog.count(false)).isEqualTo(2);
      assertThat(backlog.count(true)).isEqualTo(1);
    }
  }

  /** A database that does not answer: whoever asks is told so, also while somebody else waits. */
  @Test
  void nobodyWaitsForADatabaseThatDoesNotAnswer() {
    CountDownLatch answers = new CountDownLatch(1);
    Tasks hangs =
        (Tasks)
            Proxy.newProxyInstance(
                Tasks.class.getClassLoader(),
                new Class<?>[] {Tasks.class},
                (_, _, _) -> {
                  answers.await();
                  return 7L;
                });
    try (Backlog backlog = new Backlog(hangs)) {
      assertThatThrownBy(() -> backlog.count(false)).isInstanceOf(StoreException.class);
      assertThatThrownBy(() -> backlog.count(true)).isInstanceOf(StoreException.class);
      answers.countDown();
      Await.until("it answers", () -> isKnown(backlog));
      assertThat(backlog.count(true)).isEqualTo(7);
    }
  }

  private static boolean isKnown(Backlog backlog) {
    try {
      return backlog.count(false) == 7;
    } catch (StoreException e) {
      return false;
    }
  }
}
