package io.harikube.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.Bytes;
import io.harikube.store.Task;
import io.harikube.store.Tasks;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** The tasks that the store keeps. */
@OnSqlDatabases
final class SqlTasksTest {
  @AutoClose private final TestStore place;

  SqlTasksTest(Database database) {
    place = database.open();
  }

  @Test
  void tasksAreCounted() {
    Tasks tasks = place.store().tasks();
    Await.answer(
        tasks.add(
            List.of(Task.of("LOOK", "a", Bytes.of("k")), Task.of("LOOK", "b", Bytes.of("l")))));
    Await.answer(tasks.park(new Task(0, "LOOK", "c", Bytes.of("m"))));
    assertThat(tasks.count(false)).isEqualTo(2);
    assertThat(tasks.count(true)).isEqualTo(1);
  }

  @Test
  void whatIsParkedOnceWaitsOnce() {
    Tasks tasks = place.store().tasks();
    Await.answer(tasks.add(List.of(Task.of("LOOK", "", Bytes.of("k")))));
    long id = tasks.ready(1).getFirst().id();
    for (int i = 0; i < 3; i++) {
      Await.answer(tasks.parkOnce(new Task(0, "LOOK", "kind", Bytes.of("k"))));
    }
    assertThat(tasks.count(true)).isEqualTo(1);

    Await.answer(tasks.parkOnce(new Task(id, "LOOK", "kind", Bytes.of("k"))));
    assertThat(tasks.count(false)).as("the task that would wait twice is gone").isZero();
    Await.answer(tasks.parkOnce(new Task(0, "LOOK", "kind", Bytes.of("another"))));
    Await.answer(tasks.parkOnce(new Task(0, "LOOK", "another kind", Bytes.of("k"))));
    assertThat(tasks.count(true)).isEqualTo(3);

    Await.answer(tasks.wake(List.of("another kind")));
    Task first = tasks.about(List.of("another kind")).getFirst();
    Await.answer(tasks.parkOnce(first));
    Await.answer(tasks.parkOnce(first));
    assertThat(tasks.count(true)).as("a task is not its own twin").isEqualTo(3);
  }

  private void park(int tasks, String subject) {
    Tasks all = place.store().tasks();
    Await.answer(
        CompletableFuture.allOf(
            IntStream.range(0, tasks)
                .mapToObj(i -> all.park(new Task(0, "LOOK", subject, Bytes.of(subject + i))))
                .toArray(CompletableFuture[]::new)));
  }

  @Test
  void whatWaitsIsWokenInParts() {
    Tasks tasks = place.store().tasks();
    park(5, "kind");
    long second = Await.answer(tasks.wakeAfter(0, 2));
    assertThat(tasks.ready(10)).extracting(Task::id).hasSize(2).endsWith(second);
    long last = Await.answer(tasks.wakeAfter(second, 10));
    assertThat(tasks.ready(10)).extracting(Task::id).hasSize(5).endsWith(last);
    assertThat(Await.answer(tasks.wakeAfter(last, 10))).isNegative();
  }

  @Test
  void allThatWaitForASubjectAreWoken() {
    Tasks tasks = place.store().tasks();
    park(1200, "kind");
    park(3, "another");
    Await.answer(tasks.wake(List.of("kind", "nothing")));
    assertThat(tasks.count(false)).isEqualTo(1200);
    assertThat(tasks.count(true)).isEqualTo(3);
  }

  @Test
  void whatWaitsIsNoneOfThoseAboutASubject() {
    Tasks tasks = place.store().tasks();
    park(3, "a");
    Await.answer(tasks.add(List.of(Task.of("ORPHAN", "a", Bytes.of("k")))));
    assertThat(tasks.about(List.of("a", "b"))).extracting(Task::kind).containsExactly("ORPHAN");
  }

  @Test
  void noTaskIsLeft() {
    Tasks tasks = place.store().tasks();
    park(2, "a");
    Await.answer(tasks.add(List.of(Task.of("LOOK", "a", Bytes.of("k")))));
    Await.answer(tasks.clear());
    assertThat(tasks.count(true) + tasks.count(false)).isZero();
  }

  /** Who has read the first of them and does it late would take the second one for it. */
  @Test
  void noIdIsGivenTwice() {
    List<Task> two =
        List.of(Task.of("LOOK", "a", Bytes.of("k")), Task.of("LOOK", "b", Bytes.of("l")));
    Await.answer(place.store().tasks().add(two));
    place.reopen();
    Tasks tasks = place.store().tasks();
    long last = tasks.ready(2).getLast().id();
    Await.answer(tasks.done(List.of(last)));
    Await.answer(tasks.add(List.of(Task.of("LOOK", "c", Bytes.of("m")))));
    assertThat(tasks.ready(2).getLast().id()).isGreaterThan(last);

    place.reopen();
    Tasks after = place.store().tasks();
    long cleared = after.ready(2).getLast().id();
    Await.answer(after.clear());
    Await.answer(after.add(two));
    assertThat(after.ready(2).getFirst().id()).isGreaterThan(cleared);
  }
}
