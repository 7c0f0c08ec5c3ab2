package io.harikube.gc;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.OpenException;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** What becomes of hidden objects whose owners go. */
@OnSqlDatabases
final class CollectorTest {
  @AutoClose private final TestStore place;

  CollectorTest(Database database) {
    place = database.open();
    place.store().close();
  }

  private GcServer server() throws OpenException {
    return new GcServer(place, Mode.ON, false);
  }

  @Test
  void aChainGoesWithItsFirst() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.put(Thing.named("c").ownedBy("b"));
      server.put(Thing.named("other"));
      server.settle();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("other");
    }
  }

  @Test
  void whatHasAnotherOwnerStaysAndLosesTheReference() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b"));
      server.put(Thing.named("c").ownedBy("a").ownedBy("b"));
      server.settle();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b", "c");
      assertThat(server.owners("c")).containsExactly("uid-b");
    }
  }

  @Test
  void aFinalizerOfOthersHolds() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a").finalizer("example.com/hold"));
      server.put(Thing.named("c").ownedBy("b"));
      server.settle();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b", "c");
      assertThat(server.isDeleting("b")).isTrue();
      assertThat(server.isDeleting("c")).isFalse();
      server.delete("b");
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  @Test
  void inTheForegroundTheOwnerGoesLast() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").blocking("a"));
      server.put(Thing.named("c").blocking("b").finalizer("example.com/hold"));
      server.settle();
      server.put(Thing.named("a").deleting().finalizer("foregroundDeletion"));
      server.settle();
      assertThat(server.names()).containsExactly("a", "b", "c");
      assertThat(server.finalizers("b")).containsExactly("foregroundDeletion");
      assertThat(server.isDeleting("c")).isTrue();
      server.delete("c");
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  @Test
  void inTheForegroundWithoutDependentsTheOwnerGoes() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a").deleting().finalizer("foregroundDeletion"));
      server.put(Thing.named("b").deleting().finalizer("x").finalizer("foregroundDeletion"));
      server.put(Thing.named("c").deleting().finalizer("orphan"));
      server.settle();
      assertThat(server.names()).containsExactly("b");
      assertThat(server.finalizers("b")).containsExactly("x");
    }
  }

  @Test
  void orphansStayAndHaveNoOwner() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.put(Thing.named("c").ownedBy("b"));
      server.settle();
      server.put(Thing.named("a").deleting().finalizer("orphan"));
      server.settle();
      assertThat(server.names()).containsExactly("b", "c");
      assertThat(server.owners("b")).isEmpty();
      assertThat(server.owners("c")).containsExactly("uid-b");
    }
  }

  @Test
  void ofAVisibleOwnerThatOrphansTheHiddenDependentsAreSetFree() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a").visible());
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      // As kube-controller-manager does it, at once.
      server.put(Thing.named("a").visible().deleting().finalizer("orphan"));
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b");
      assertThat(server.owners("b")).isEmpty();
    }
  }

  @Test
  void whatBecomesHiddenWhileItsOwnerOrphansIsSetFree() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a").visible());
      server.put(Thing.named("b").ownedBy("a").visible());
      server.settle();
      Thing owner = Thing.named("a").visible().deleting().finalizer("example.com/hold");
      server.put(owner.finalizer("orphan"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      // Kube-controller-manager, which sees no dependent any more.
      server.put(owner);
      server.settle();
      assertThat(server.owners("b")).isEmpty();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b");
    }
  }

  @Test
  void whatBecomesVisibleWhileItsOwnerOrphansIsSetFree() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a").visible());
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.stopCollecting();
      server.put(Thing.named("a").visible().deleting().finalizer("orphan"));
      // Kube-controller-manager may see this after it has let the owner go.
      server.put(Thing.named("b").ownedBy("a").visible());
    }
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.owners("b")).isEmpty();
    }
  }

  @Test
  void theVisibleAreLeftToTheirVisibleOwner() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a").visible());
      server.put(Thing.named("b").ownedBy("a").visible());
      server.put(Thing.named("c").ownedBy("a"));
      server.settle();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b");
    }
  }

  @Test
  void anOwnerOfTheSameNameIsAnother() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.delete("a");
      server.put(Thing.named("a").uid("another"));
      server.settle();
      assertThat(server.names()).containsExactly("a");
    }
  }

  @Test
  void whatIsMadeForAnOwnerThatIsGoneGoes() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("b").ownedBy("a"));
      server.put(Thing.named("v").ownedBy("a").visible());
      server.settle();
      assertThat(server.names()).containsExactly("v");
      server.put(Thing.named("v").ownedBy("a")); // the label is put on
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  @Test
  void whatHasAnOwnerOfAKindThatIsNotServedStays() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(
          Thing.named("b").ownedBy("a").owner("example.com/v9", "Thing", "z", "uid-z", false));
      server.put(Thing.named("c").owner("other.com/v1", "Other", "z", "uid-z", false));
      server.settle();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b", "c");
      server.define("other.com", "others", "Other");
      Await.until("its owner's kind is known", () -> server.names().equals(List.of("b")));
    }
  }

  @Test
  void whatLosesAnOwnerOfAKindThatIsNotServedIsLookedAtAgain() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      Thing thing = Thing.named("b").ownedBy("a");
      server.put(thing.owner("example.com/v9", "Thing", "z", "uid-z", false));
      server.put(
          Thing.named("c").ownedBy("a").owner("example.com/v9", "Thing", "o", "uid-o", false));
      server.put(Thing.named("o"));
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b", "c", "o");
      server.put(thing);
      server.settle();
      assertThat(server.names()).as("a user has taken it away").containsExactly("c", "o");
      server.put(Thing.named("o").deleting().finalizer("orphan"));
      server.settle();
      assertThat(server.names()).as("the owner has set it free").isEmpty();
    }
  }

  @Test
  void anOwnerThatIsGoneIsNamedByAKindThatIsServed() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("version").owner("example.com/v9", "Thing", "a", "uid-a", false));
      server.put(Thing.named("group").owner("other.com/v1", "Thing", "a", "uid-a", false));
      server.settle();
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("group", "version");
    }
  }

  @Test
  void aCircleLives() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.put(Thing.named("outside"));
      server.put(Thing.named("a").ownedBy("b").ownedBy("outside"));
      server.put(Thing.named("self").ownedBy("self"));
      server.settle();
      server.delete("outside");
      server.settle();
      assertThat(server.names()).containsExactly("a", "b", "self");
      assertThat(server.owners("a")).containsExactly("uid-b");
    }
  }

  @Test
  void aCircleGoesInTheForeground() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").blocking("a"));
      server.put(Thing.named("a").blocking("b"));
      server.settle();
      server.put(Thing.named("a").blocking("b").deleting().finalizer("foregroundDeletion"));
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  @Test
  void whatWasDanglingBeforeStays() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.OFF, false)) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.put(Thing.named("c").ownedBy("a"));
      server.put(Thing.named("d").deleting().finalizer("foregroundDeletion"));
      server.delete("a");
    }
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.names()).containsExactly("b", "c");
      server.put(Thing.named("e").ownedBy("b"));
      server.delete("b");
      server.settle();
      assertThat(server.names()).containsExactly("c");
    }
    try (GcServer server = new GcServer(place, Mode.OFF, false)) {
      assertThat(server.names()).containsExactly("c");
    }
    try (GcServer server = new GcServer(place, Mode.ON, true)) {
      server.settle();
      assertThat(server.names()).as("adopted").isEmpty();
    }
  }

  @Test
  void aDryRunDeletesNothing() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.DRY_RUN, false)) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b");
    }
  }

  @Test
  void whatIsToBeDoneOutlivesTheServer() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.stopCollecting();
      server.delete("a");
      assertThat(server.names()).containsExactly("b");
    }
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  /** What is visible is not ours to wait for, and has nobody looked at who does. */
  @Test
  void whatIsVisibleDoesNotWaitForAKind() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      for (int i = 0; i < 50; i++) {
        Thing waiting = Thing.named("b" + i).owner("other.com/v1", "Other", "x", "uid-x", false);
        server.put(waiting);
        server.put(
            Thing.named("c" + i)
                .owner("other.com/v1", "Other", "x", "uid-x", false)
                .ownedBy("a")
                .visible());
      }
      server.settle();
      long before = server.looks();
      server.delete("a");
      server.settle();
      assertThat(server.names()).hasSize(100);
      assertThat(server.looks() - before).as("looks at 50 objects").isBetween(50L, 200L);
    }
  }

  @Test
  void anOwnerThatHasComeBackKeepsItsDependents() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.stopCollecting();
      server.delete("a");
      server.put(Thing.named("a"));
    }
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.names()).containsExactly("a", "b");
      assertThat(server.owners("b")).containsExactly("uid-a");
    }
  }

  /**
   * A live object was once deleted while a cache of objects was being filled (kubernetes#88097).
   */
  @Test
  void whatIsAliveStaysWhileAServerStarts() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.OFF, false)) {
      server.put(Thing.named("a"));
      for (int i = 0; i < 100; i++) {
        server.put(Thing.named("b" + i).ownedBy("a"));
      }
      server.put(Thing.named("z").ownedBy("a").ownedBy("y"));
    }
    for (boolean adopt : new boolean[] {false, true}) {
      try (GcServer server = new GcServer(place, Mode.ON, adopt)) {
        for (int i = 0; i < 100; i++) {
          server.put(Thing.named("b" + i).ownedBy("a").finalizer("example.com/" + adopt));
        }
        server.settle();
        assertThat(server.names()).hasSize(102);
      }
    }
  }

  /**
   * As if it had never been served: nobody can say what became of the owner (kubernetes#102641).
   */
  @Test
  void whatHasAnOwnerInAVersionThatIsServedNoLongerStays() throws OpenException {
    try (GcServer server = server()) {
      server.define("other.com", "others", "Other", "v1alpha1", "v1");
      server.awaitKind("other.com/v1alpha1", "Other", true);
      server.put("/registry/other.com/others/n/x", Thing.named("x").json("other.com/v1", "Other"));
      server.put(Thing.named("a").owner("other.com/v1alpha1", "Other", "x", "uid-x", false));
      server.put(Thing.named("b").owner("other.com/v1", "Other", "x", "uid-x", false));
      server.settle();
      assertThat(server.names()).containsExactly("a", "b");
      server.define("other.com", "others", "Other", "v1");
      server.awaitKind("other.com/v1alpha1", "Other", false);
      server.remove("/registry/other.com/others/n/x");
      server.settle();
      assertThat(server.names()).containsExactly("a");
    }
  }

  /** One broken API once stopped all collection (kubernetes#60037). */
  @Test
  void whatIsBrokenHoldsUpNobodyElse() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put("/registry/broken.com/things/n/x", "{\"metadata\":{\"name\":");
      server.put(
          "/registry/apiextensions.k8s.io/customresourcedefinitions/things.broken.com",
          "{\"spec\":");
      server.put(Thing.named("b").ownedBy("a").owner("broken.com/v1", "Thing", "x", "u", true));
      server.put(Thing.named("c").ownedBy("a"));
      server.put(Thing.named("d").ownedBy("c"));
      server.settle();
      server.remove("/registry/broken.com/things/n/x");
      server.delete("a");
      server.settle();
      assertThat(server.names()).containsExactly("b");
    }
  }

  @Test
  void manyGoWithTheirOwner() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      for (int i = 0; i < 1000; i++) {
        server.put(Thing.named("b" + i).ownedBy("a"));
      }
      server.put(Thing.named("c"));
      server.delete("a");
      server.settle();
      assertThat(server.names()).isEqualTo(List.of("c"));
    }
  }
}
