package io.harikube.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Database;
import io.harikube.testing.OnEveryDatabase;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A store against the model, at random.
 *
 * <p>{@code -Dharikube.seed=N} does again what a failure was found with; {@code
 * -Dharikube.model.seconds=N} goes on for longer. Minutes of it are {@code mvn test -Dgroups=long
 * -DexcludedGroups=}.
 */
@OnEveryDatabase
final class ModelTest {
  private final Database database;

  ModelTest(Database database) {
    this.database = database;
  }

  @Test
  void agreesWithTheModel() {
    run(Duration.ofSeconds(Integer.getInteger("harikube.model.seconds", 5)));
  }

  @Test
  @Tag("long")
  void agreesWithTheModelForMinutes() {
    run(Duration.ofSeconds(Integer.getInteger("harikube.model.seconds", 300)));
  }

  private void run(Duration time) {
    long seed = Long.getLong("harikube.seed", ThreadLocalRandom.current().nextLong(1L << 32));
    try (Simulation simulation = new Simulation(database, seed)) {
      long steps;
      try {
        steps = simulation.run(time);
      } catch (RuntimeException | AssertionError e) {
        AssertionError failure =
            new AssertionError(
                printable(
                    "on %s with -Dharikube.seed=%d: %s%nThe last operations:%n%s"
                        .formatted(database, seed, e, simulation.trace())));
        failure.setStackTrace(e.getStackTrace());
        throw failure;
      }
      System.out.printf(
          "%s agreed with the model for %d steps and %d crashes of seed %d%n",
          database, steps, simulation.crashes(), seed);
      assertThat(steps).isPositive();
    }
  }

  /** Keys and values are any bytes; reports of tests are not. */
  private static String printable(String text) {
    return text.replaceAll("[^\\n\\x20-\\x7e]", "?");
  }
}
