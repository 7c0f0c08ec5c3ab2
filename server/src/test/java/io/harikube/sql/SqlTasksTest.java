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
}
