package io.harikube.gc;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.OpenException;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Whatever somebody writes by etcd's API: the collector goes on, and touches nothing else. */
@OnSqlDatabases
final class BrokenObjectsTest {
  private static final int OBJECTS = 400;
  private static final long SEED = Long.getLong("harikube.test.seed", 18);

  @AutoClose private final TestStore place;
  private final Random random = new Random(SEED);

  BrokenObjectsTest(Database database) {
    place = database.open();
    place.store().close();
  }

  private static final List<String> PIECES =
      List.of(
          "null",
          "{}",
          "[]",
          "[[[[[[[[",
          "\"\"",
          "\"\\ud800\"",
          "\"\\u0000\"",
          "1e400",
          "-1",
          "true",
          "\"metadata\":{\"name\":\"twice\"},",
          "\"ownerReferences\":7,",
          "\"labels\":[],",
          "\"uid\":\"" + "u".repeat(5000) + "\",");

  private String broken(String json) {
    String text = json;
    for (int i = random.nextInt(3); i >= 0; i--) {
      int at = random.nextInt(text.length());
      text =
          switch (random.nextInt(5)) {
            case 0 -> text.substring(0, at);
            case 1 -> text.substring(0, at) + (char) random.nextInt(300) + text.substring(at);
            case 2 ->
                text.substring(0, at)
                    + PIECES.get(random.nextInt(PIECES.size()))
                    + text.substring(at);
            case 3 -> {
              int comma = text.indexOf(',', at);
              yield comma < 0
                  ? text
                  : text.substring(0, comma + 1)
                      + PIECES.get(random.nextInt(PIECES.size()))
                      + text.substring(comma + 1);
            }
            default ->
                text.replaceFirst(
                    "\"uid-[a-z0-9]+\"",
                    PIECES.get(random.nextInt(PIECES.size())).replace("\\", "\\\\"));
          };
      if (text.isEmpty()) {
        return "x";
      }
    }
    return text;
  }

  private Thing thing(int i) {
    Thing thing = Thing.named("t" + i);
    for (int owners = random.nextInt(4); owners > 0; owners--) {
      thing = random.nextBoolean() ? thing.ownedBy(other()) : thing.blocking(other());
    }
    if (random.nextInt(4) == 0) {
      thing = thing.finalizer(random.nextBoolean() ? "foregroundDeletion" : "orphan");
      thing = random.nextBoolean() ? thing.deleting() : thing;
    }
    return random.nextInt(5) == 0 ? thing.visible() : thing;
  }

  private String other() {
    return "t" + random.nextInt(OBJECTS);
  }

  private String key(String name) {
    return switch (random.nextInt(8)) {
      case 0 -> "/registry/example.com/things/" + name;
      case 1 -> "/registry/example.com/things/n/" + name + "/more";
      case 2 -> "/registry/example.com/things//" + name;
      case 3 -> "/registry/configmaps/n/" + name;
      default -> "/registry/example.com/things/n/" + name;
    };
  }

  @Test
  void brokenObjectsHoldUpNothing() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.ON, false)) {
      for (int i = 0; i < OBJECTS; i++) {
        String json = thing(i).json();
        server.put(key("t" + i), random.nextInt(3) == 0 ? json : broken(json));
        if (random.nextInt(4) == 0) {
          server.remove(key(other()));
        }
      }
      Thing wide = Thing.named("wide");
      for (int i = 0; i < 2000; i++) {
        wide = wide.ownedBy("nobody" + i);
      }
      server.put(wide);
      server.put(Thing.named("owner"));
      server.put(Thing.named("stays"));
      server.put(Thing.named("goes").ownedBy("owner"));
      server.put(Thing.named("freed").ownedBy("owner").ownedBy("stays"));
      server.delete("owner");
      server.settle();
      assertThat(server.names()).contains("stays", "freed").doesNotContain("goes", "owner", "wide");
      assertThat(server.owners("freed")).as("seed " + SEED).containsExactly("uid-stays");
    }
    try (GcServer server = new GcServer(place, Mode.ON, true)) {
      server.settle();
      assertThat(server.names()).contains("stays", "freed");
    }
  }
}
