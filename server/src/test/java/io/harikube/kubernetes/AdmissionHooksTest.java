package io.harikube.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.harikube.store.StoreException;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import io.harikube.watch.WatchStream;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** What is known of admission webhooks and policies while they come, change, and go. */
@OnSqlDatabases
final class AdmissionHooksTest {
  private static final Resource WIDGETS = Resource.of("example.com", "widgets");
  private static final Resource GADGETS = Resource.of("example.com", "gadgets");
  private static final String WEBHOOKS = "/registry/validatingwebhookconfigurations/";

  @AutoClose private final TestStore place;

  AdmissionHooksTest(Database database) {
    place = database.open();
  }

  /** Of a server on the store. */
  private final class Server implements AutoCloseable {
    private final WatchHub hub = new WatchHub(place.log(), WatchOptions.defaults());
    private final List<WatchStream> streams = new CopyOnWriteArrayList<>();
    private final AtomicInteger attempts = new AtomicInteger();
    private volatile boolean broken;
    private final AdmissionHooks hooks =
        AdmissionHooks.follow(place.store(), this::watch, new KeySpace("/registry"));

    private WatchStream watch() {
      attempts.incrementAndGet();
      if (broken) {
        throw new IllegalStateException("no watch can be opened");
      }
      WatchStream stream = hub.open();
      streams.add(stream);
      return stream;
    }

    boolean see(Resource resource) {
      return hooks.seeDeletionsOf(resource, true);
    }

    boolean isKnown() {
      try {
        see(WIDGETS);
        return true;
      } catch (StoreException e) {
        return false;
      }
    }

    void await(Resource resource, boolean seen) {
      Await.until("deletions are seen: " + seen, () -> see(resource) == seen);
    }

    @Override
    public void close() {
      hooks.close();
      hub.close();
    }
  }

  private static String rule(String operation, String plural) {
    return """
    {"operations":["%s"],"apiGroups":["example.com"],"apiVersions":["v1"],"resources":["%s"]}"""
        .formatted(operation, plural);
  }

  private static String webhook(String kind, String rule) {
    return """
    {"apiVersion":"admissionregistration.k8s.io/v1","kind":"%s",
     "metadata":{"name":"a"},"webhooks":[{"name":"a.example.com","rules":[%s]}]}"""
        .formatted(kind, rule);
  }

  private static String webhook(String rule) {
    return webhook("ValidatingWebhookConfiguration", rule);
  }

  private static String policy(String kind, String rule) {
    return """
    {"apiVersion":"admissionregistration.k8s.io/v1","kind":"%s","metadata":{"name":"a"},
     "spec":{"matchConstraints":{"resourceRules":[%s]}}}"""
        .formatted(kind, rule);
  }

  @Test
  void configurationsOfEachKindComeAndGo() {
    String rule = rule("DELETE", "widgets");
    try (Server server = new Server()) {
      assertThat(server.see(WIDGETS)).isFalse();
      comesAndGoes(server, WEBHOOKS + "a", webhook(rule));
      comesAndGoes(
          server,
          "/registry/mutatingwebhookconfigurations/a",
          webhook("MutatingWebhookConfiguration", rule));
      comesAndGoes(
          server,
          "/registry/validatingadmissionpolicies/a",
          policy("ValidatingAdmissionPolicy", rule));
      comesAndGoes(
          server, "/registry/mutatingadmissionpolicies/a", policy("MutatingAdmissionPolicy", rule));
    }
  }

  private void comesAndGoes(Server server, String key, String value) {
    place.put(key, value);
    server.await(WIDGETS, true);
    assertThat(server.see(GADGETS)).isFalse();
    place.delete(key);
    server.await(WIDGETS, false);
  }

  @Test
  void aConfigurationChanges() {
    try (Server server = new Server()) {
      place.put(WEBHOOKS + "a", webhook(rule("DELETE", "widgets")));
      server.await(WIDGETS, true);
      place.put(WEBHOOKS + "a", webhook(rule("*", "gadgets")));
      server.await(GADGETS, true);
      assertThat(server.see(WIDGETS)).isFalse();
      place.put(WEBHOOKS + "a", webhook(rule("UPDATE", "gadgets")));
      server.await(GADGETS, false);
    }
  }

  @Test
  void oneOfTwoThatSayTheSameGoes() {
    try (Server server = new Server()) {
      place.put(WEBHOOKS + "a", webhook(rule("DELETE", "widgets")));
      place.put(WEBHOOKS + "b", webhook(rule("DELETE", "widgets")));
      server.await(WIDGETS, true);
      place.delete(WEBHOOKS + "a");
      place.put(WEBHOOKS + "c", webhook(rule("DELETE", "gadgets")));
      server.await(GADGETS, true);
      assertThat(server.see(WIDGETS)).isTrue();
    }
  }

  @Test
  void bindingsAndKeysElsewhereSayNothing() {
    try (Server server = new Server()) {
      place.put("/registry/validatingadmissionpolicybindings/a", "?");
      place.put("/registry/mutatingadmissionpolicybindings/a", "?");
      place.put("/other/validatingwebhookconfigurations/a", webhook(rule("*", "widgets")));
      place.put(
          "/registry/example.com/validatingwebhookconfigurations/a", webhook(rule("*", "widgets")));
      place.put(WEBHOOKS + "a", webhook(rule("*", "gadgets")));
      server.await(GADGETS, true);
      assertThat(server.see(WIDGETS)).isFalse();
    }
  }

  @Test
  void whatCannotBeUnderstoodLooksAtEverything() {
    try (Server server = new Server()) {
      place.put(WEBHOOKS + "a", "k8s:enc:aescbc:v1:key:?");
      server.await(WIDGETS, true);
      assertThat(server.see(new Resource("configmaps"))).isTrue();
      assertThat(server.hooks.seeDeletionsOf(new Resource("minions"), false)).isTrue();
      place.put(WEBHOOKS + "a", webhook(""));
      server.await(WIDGETS, false);
    }
  }

  @Test
  void allIsKnownFromTheStart() {
    for (int i = 0; i < 100; i++) {
      place.put(WEBHOOKS + i, webhook(rule("CREATE", "widgets")));
    }
    place.put("/registry/validatingadmissionpolicies/z", policy("ValidatingAdmissionPolicy", "{}"));
    place.put("/registry/mutatingwebhookconfigurations/z", "{");
    try (Server server = new Server()) {
      assertThat(server.see(WIDGETS)).isTrue();
    }
    place.delete("/registry/mutatingwebhookconfigurations/z");
    try (Server server = new Server()) {
      assertThat(server.see(WIDGETS)).isFalse();
    }
    place.put(WEBHOOKS + "z", webhook(rule("DELETE", "widgets")));
    try (Server server = new Server()) {
      assertThat(server.see(WIDGETS)).isTrue();
    }
  }

  @Test
  void afterALostWatchNothingIsSaidBeforeAllIsReadAgain() {
    try (Server server = new Server()) {
      place.put(WEBHOOKS + "old", webhook(rule("DELETE", "gadgets")));
      server.await(GADGETS, true);
      assertThat(server.hooks.streams()).isEqualTo(1);
      assertThat(server.hooks.watches()).isEqualTo(4);
      server.broken = true;
      server.streams.getLast().cancel(3);
      Await.until("nothing is known", () -> !server.isKnown());
      assertThatThrownBy(() -> server.see(WIDGETS))
          .isInstanceOfSatisfying(
              StoreException.class,
              e -> assertThat(e.reason()).isEqualTo(StoreException.Reason.UNAVAILABLE));
      assertThat(server.hooks.watches()).isZero();
      place.put(WEBHOOKS + "new", webhook(rule("DELETE", "widgets")));
      place.delete(WEBHOOKS + "old");
      int attempts = server.attempts.get();
      // The next may have read before that.
      Await.until("it tries in vain", () -> server.attempts.get() >= attempts + 2);
      server.broken = false;
      Await.until("all is known again", server::isKnown);
      assertThat(server.see(WIDGETS)).isTrue();
      assertThat(server.see(GADGETS)).isFalse();
      place.put(WEBHOOKS + "later", webhook(rule("DELETE", "gadgets")));
      server.await(GADGETS, true);
    }
  }
}
