package io.harikube.gc;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.kubernetes.Edges;
import io.harikube.sql.OpenException;
import io.harikube.store.Bytes;
import io.harikube.store.Task;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Clients that are hostile and operators who are careless: nobody else has to wait for them. */
@OnSqlDatabases
final class HostileTest {
  private static final String THINGS = "/registry/example.com/things/n/";
  private static final Thing WAITING = Thing.named("a").deleting().finalizer("foregroundDeletion");

  @AutoClose private final TestStore place;

  HostileTest(Database database) {
    place = database.open();
    place.store().close();
  }

  private GcServer server() throws OpenException {
    return new GcServer(place, Mode.ON, false);
  }

  @Test
  void anOwnerThatIsWrittenAllTheTimeHoldsUpNothing() throws OpenException {
    AtomicBoolean done = new AtomicBoolean();
    try (GcServer server = server();
        ExecutorService writers = Executors.newFixedThreadPool(4)) {
      server.put(Thing.named("a"));
      server.put(Thing.named("hot"));
      for (int i = 0; i < 20; i++) {
        server.put(Thing.named("b" + i).ownedBy("a").ownedBy("hot"));
      }
      server.settle();
      long looks = server.looks();
      for (int i = 0; i < 4; i++) {
        writers.execute(
            () -> {
              while (!done.get()) {
                server.put(Thing.named("hot"));
              }
            });
      }
      try {
        server.delete("a");
        server.settle();
        // Once each, and once more as it has lost an owner meanwhile.
        assertThat(server.looks() - looks).isBetween(20L, 60L);
        assertThat(server.owners("b7")).containsExactly("uid-hot");
      } finally {
        done.set(true);
      }
    }
  }

  @Test
  void whatWasToBeDoneWhenItWasSwitchedOffStays() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.stopCollecting();
      server.delete("a");
    }
    new GcServer(place, Mode.OFF, false).close();
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.names()).as("what had lost its owners before").containsExactly("b");
    }
  }

  @Test
  void whatADryRunHasLeftWaitingStays() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.DRY_RUN, false)) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a").owner("other.com/v1", "Other", "z", "uid-z", false));
      server.delete("a");
      server.settle();
      assertThat(server.tasks().count(true)).isPositive();
    }
    try (GcServer server = server()) {
      server.define("other.com", "others", "Other");
      server.settle();
      assertThat(server.names()).as("what had lost its owners before").containsExactly("b");
    }
  }

  @Test
  void whatALaterVersionHasToDoIsLeftToIt() throws OpenException {
    try (GcServer server = server()) {
      for (int i = 0; i < 1_000; i++) {
        Await.answer(server.tasks().add(List.of(Task.of("LATER", "uid-a", Bytes.of("k")))));
      }
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.delete("a");
      server.settle();
      assertThat(server.names()).isEmpty();
      assertThat(server.tasks().count(true)).isEqualTo(1_000);
    }
  }

  @Test
  void whatIsNewDoesNotWaitForAllThatWaits() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.stopCollecting();
      CompletableFuture<?>[] parked =
          IntStream.range(0, 20_000)
              .mapToObj(i -> new Task(0, "LOOK/hidden", "kind", Bytes.of(THINGS + "x" + i)))
              .map(server.tasks()::park)
              .toArray(CompletableFuture[]::new);
      Await.answer(CompletableFuture.allOf(parked));
      server.delete("a");
    }
    try (GcServer server = server()) {
      Await.until("b is gone", () -> server.find(THINGS + "b") == null);
      assertThat(server.tasks().count(true)).isPositive();
      server.settle();
      assertThat(server.tasks().count(true)).as("what waits for what is no more").isZero();
    }
  }

  private static boolean isPreparing() {
    return Thread.getAllStackTraces().entrySet().stream()
        .filter(thread -> thread.getKey().getName().equals("gc"))
        .flatMap(thread -> Stream.of(thread.getValue()))
        .anyMatch(frame -> frame.getMethodName().equals("prepare"));
  }

  @Test
  void whatIsAskedForManyTimesIsDoneOnce() throws OpenException {
    int dependents = 50;
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      for (int i = 0; i < dependents; i++) {
        server.put(Thing.named("b" + i).blocking("a").finalizer("example.com/hold"));
      }
      server.settle();
      server.stopCollecting();
      for (int i = 0; i < 100; i++) {
        server.put(WAITING);
        server.put(Thing.named("a").deleting().finalizer("example.com/hold"));
      }
      server.put(WAITING);
    }
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.looks()).isBetween((long) dependents, 10L * dependents);
      assertThat(server.isDeleting("b7")).isTrue();
      assertThat(server.finalizers("a")).containsExactly("foregroundDeletion");
    }
  }

  @Test
  void aFirstStartIsGivenUpWhenTheServerStops() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.OFF, false)) {
      for (int i = 0; i < 10; i++) {
        List<Txn.Op> ops = new ArrayList<>();
        for (int j = 0; j < 500; j++) {
          Thing thing = Thing.named("x" + i + "-" + j).ownedBy("gone");
          ops.add(Ops.put(THINGS + thing.name(), thing.json()));
        }
        server.write(new Txn(List.of(), ops, List.of()));
      }
    }
    GcServer stopped = server();
    Await.until("edges are being gathered", HostileTest::isPreparing);
    stopped.close();
    place.reopen();
    assertThat(place.store().gathered()).doesNotContain(Edges.GATHERED);
    place.store().close();
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.names()).hasSize(5_000);
    }
  }

  @Test
  void aKindThatAnotherDefinitionHadTooIsKnownAgain() throws OpenException {
    try (GcServer server = server()) {
      server.define("example.com", "others", "Thing");
      server.awaitKind("example.com/v1", "Thing", false);
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      assertThat(server.names()).as("nobody can say where its owner is").containsExactly("b");
      server.remove("/registry/apiextensions.k8s.io/customresourcedefinitions/others.example.com");
      Await.until("b is gone", () -> server.names().isEmpty());
    }
  }

  @Test
  void anOwnerWithALongKeyCanBeDeleted() throws OpenException {
    String letters =
        new Random(18)
            .ints(2_600, 'a', 'z' + 1)
            .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
            .toString();
    String uid = "u".repeat(128);
    try (GcServer server = server()) {
      server.put(THINGS + letters, Thing.named(letters).visible().uid(uid).json());
      server.put(Thing.named("b").owner("example.com/v1", "Thing", letters, uid, false));
      server.settle();
      assertThat(server.names()).contains("b");
      server.remove(THINGS + letters);
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  @Test
  void ownersWithoutUidsAreNoOwnersOfAllOthers() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("b").owner("example.com/v1", "Thing", "a", "", false));
      server.settle();
      assertThat(server.names()).isEmpty();
      assertThat(Edges.subject("")).as("the subject of tasks about no owner").isNotEmpty();
    }
  }
}
