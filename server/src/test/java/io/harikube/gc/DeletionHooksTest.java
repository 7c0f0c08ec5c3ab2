package io.harikube.gc;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.OpenException;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** What becomes of garbage whose deletion an admission webhook or policy may look at. */
@OnSqlDatabases
final class DeletionHooksTest {
  private static final String THINGS = "example.com/things";
  private static final String WEBHOOKS = "/registry/validatingwebhookconfigurations/a";

  @AutoClose private final TestStore place;

  DeletionHooksTest(Database database) {
    place = database.open();
    place.store().close();
  }

  private GcServer server() throws OpenException {
    return new GcServer(place, Mode.ON, false);
  }

  private static String rule(String operation, String group, String resource) {
    return """
    {"operations":["%s"],"apiGroups":["%s"],"apiVersions":["*"],"resources":["%s"]}"""
        .formatted(operation, group, resource);
  }

  private static String webhooks(String kind, String rule) {
    return """
    {"apiVersion":"admissionregistration.k8s.io/v1","kind":"%s","metadata":{"name":"a"},
     "webhooks":[{"name":"a.example.com","rules":[%s]}]}"""
        .formatted(kind, rule);
  }

  private static String webhooks(String rule) {
    return webhooks("ValidatingWebhookConfiguration", rule);
  }

  private static String policy(String kind, String rule) {
    return """
    {"apiVersion":"admissionregistration.k8s.io/v1","kind":"%s","metadata":{"name":"a"},
     "spec":{"matchConstraints":{"resourceRules":[%s]}}}"""
        .formatted(kind, rule);
  }

  private static void lookAt(GcServer server, String rule) {
    server.put(WEBHOOKS, webhooks(rule));
  }

  @Test
  void whatMayBeLookedAtIsLeftToKubernetes() throws OpenException {
    String rule = rule("DELETE", "example.com", "things");
    Map<String, String> configurations =
        Map.of(
            "validatingwebhookconfigurations/x",
            webhooks("ValidatingWebhookConfiguration", rule),
            "mutatingwebhookconfigurations/x",
            webhooks("MutatingWebhookConfiguration", rule),
            "validatingadmissionpolicies/x",
            policy("ValidatingAdmissionPolicy", rule),
            "mutatingadmissionpolicies/x",
            policy("MutatingAdmissionPolicy", rule),
            "validatingadmissionpolicies/opaque",
            "k8s:enc:aescbc:v1:key:?");
    try (GcServer server = server()) {
      configurations.forEach(
          (key, value) -> {
            server.put("/registry/" + key, value);
            server.awaitHooks(THINGS, true);
            isHandedOver(server);
            server.remove("/registry/" + key);
            server.awaitHooks(THINGS, false);
          });
      isDeleted(server);
    }
  }

  private static void isHandedOver(GcServer server) {
    server.put(Thing.named("a"));
    server.put(Thing.named("b").ownedBy("a"));
    server.delete("a");
    server.settle();
    assertThat(server.names()).containsExactly("b");
    assertThat(server.value("b"))
        .asString()
        .isEqualTo(Thing.named("b").ownedBy("a").visible().json());
    server.delete("b");
  }

  private static void isDeleted(GcServer server) {
    server.put(Thing.named("a"));
    server.put(Thing.named("b").ownedBy("a"));
    server.delete("a");
    server.settle();
    assertThat(server.names()).isEmpty();
  }

  @Test
  void rulesForOthersChangeNothing() throws OpenException {
    try (GcServer server = server()) {
      for (String rule :
          List.of(
              rule("CREATE", "*", "*"),
              rule("DELETE", "other.com", "*"),
              rule("DELETE", "example.com", "others"),
              rule("*", "*", "*/status"))) {
        lookAt(server, "%s,%s".formatted(rule, rule("DELETE", "", "pods")));
        server.awaitHooks("pods", true);
        isDeleted(server);
        server.remove(WEBHOOKS);
        server.awaitHooks("pods", false);
      }
    }
  }

  @Test
  void wildcardsAreForThingsAsWell() throws OpenException {
    try (GcServer server = server()) {
      for (String rule :
          List.of(rule("*", "*", "*"), rule("DELETE", "*", "*/*"), rule("*", "example.com", "*"))) {
        lookAt(server, rule);
        server.awaitHooks(THINGS, true);
        isHandedOver(server);
        server.remove(WEBHOOKS);
        server.awaitHooks(THINGS, false);
      }
    }
  }

  @Test
  void whatThereIsAtTheStartIsKnownBeforeAnythingIsDeleted() throws OpenException {
    try (GcServer server = server()) {
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.settle();
      server.stopCollecting();
      server.delete("a");
      lookAt(server, rule("DELETE", "example.com", "things"));
    }
    try (GcServer server = server()) {
      server.settle();
      assertThat(server.names()).containsExactly("b");
      assertThat(server.value("b"))
          .asString()
          .doesNotContain("skip-controller-manager-metadata-caching");
    }
  }

  @Test
  void anOwnerWaitsForWhatIsLeftToKubernetes() throws OpenException {
    try (GcServer server = server()) {
      lookAt(server, rule("DELETE", "example.com", "things"));
      server.awaitHooks(THINGS, true);
      server.put(Thing.named("a"));
      server.put(Thing.named("b").blocking("a"));
      server.put(Thing.named("a").deleting().finalizer("foregroundDeletion"));
      server.settle();
      assertThat(server.names()).containsExactly("a", "b");
      assertThat(server.value("b"))
          .asString()
          .isEqualTo(Thing.named("b").blocking("a").visible().json());
      // As kube-controller-manager does it, when nobody refuses.
      server.delete("b");
      server.settle();
      assertThat(server.names()).isEmpty();
    }
  }

  @Test
  void whoStaysAndLosesAnOwnerIsNotLeftToKubernetes() throws OpenException {
    try (GcServer server = server()) {
      lookAt(server, rule("*", "*", "*"));
      server.awaitHooks(THINGS, true);
      server.put(Thing.named("a"));
      server.put(Thing.named("b"));
      server.put(Thing.named("c").ownedBy("a").ownedBy("b"));
      server.put(Thing.named("d").ownedBy("b"));
      server.delete("a");
      server.settle();
      assertThat(server.value("c")).asString().isEqualTo(Thing.named("c").ownedBy("b").json());
      server.put(Thing.named("b").deleting().finalizer("orphan"));
      server.settle();
      assertThat(server.names()).containsExactly("c", "d");
      assertThat(server.value("d")).asString().isEqualTo(Thing.named("d").json());
    }
  }

  @Test
  void aConfigMapThatMayBeLookedAtIsLeftAlone() throws OpenException {
    String key = "/registry/configmaps/n/c";
    String configMap =
        Thing.named("c")
            .visible()
            .ownedBy("a")
            .json()
            .replaceFirst("example.com/v1", "v1")
            .replaceFirst("Thing", "ConfigMap");
    try (GcServer server = server()) {
      lookAt(server, rule("DELETE", "", "configmaps"));
      server.awaitHooks("configmaps", true);
      server.put(Thing.named("a"));
      server.put(key, configMap);
      server.delete("a");
      server.settle();
      assertThat(server.find(key)).asString().isEqualTo(configMap);
      server.remove(WEBHOOKS);
      server.awaitHooks("configmaps", false);
      server.put(Thing.named("a").uid("other"));
      server.put(key, configMap.replace("uid-a", "other"));
      server.delete("a");
      Await.until("it has gone", () -> server.find(key) == null);
    }
  }

  @Test
  void aDryRunTakesNoLabelOff() throws OpenException {
    try (GcServer server = new GcServer(place, Mode.DRY_RUN, false)) {
      lookAt(server, rule("DELETE", "*", "*"));
      server.awaitHooks(THINGS, true);
      server.put(Thing.named("a"));
      server.put(Thing.named("b").ownedBy("a"));
      server.delete("a");
      server.settle();
      assertThat(server.value("b")).asString().isEqualTo(Thing.named("b").ownedBy("a").json());
    }
  }
}
