package io.harikube.kubernetes;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.sql.OpenException;
import io.harikube.sql.SqlStore;
import io.harikube.store.AttributeName;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Fields of custom resources while their definitions come, change, and go. */
@OnSqlDatabases
final class DefinitionsTest {
  private static final String DEFINITION_KEY =
      "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com";
  private static final KeyRange WIDGETS =
      KeyRange.prefix(Bytes.of("/registry/example.com/widgets/"));

  @AutoClose private final TestStore place;

  DefinitionsTest(Database database) {
    place = database.open();
    place.store().close();
  }

  /** The names of the methods that were called to change what the store gathers. */
  private final List<String> calls = new CopyOnWriteArrayList<>();

  private static String definition(String fields) {
    return """
    {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
     "metadata":{"name":"widgets.example.com"},
     "spec":{"group":"example.com","scope":"Namespaced",
       "names":{"plural":"widgets","kind":"Widget"},
       "versions":[{"name":"v1","served":true,"storage":true,
         "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object",
           "properties":{"color":{"type":"string"%s},"size":{"type":"integer"}}}}}},
         "selectableFields":[%s]}]}}"""
        .formatted(
            fields.contains("default") ? ",\"default\":\"red\"" : "",
            fields.contains("size")
                ? "{\"jsonPath\":\".spec.color\"},{\"jsonPath\":\".spec.size\"}"
                : "{\"jsonPath\":\".spec.color\"}");
  }

  private static String widget(String color) {
    return "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"name\":\"w\","
        + "\"namespace\":\"n\"},\"spec\":{"
        + (color.isEmpty() ? "" : "\"color\":\"" + color + "\"")
        + "}}";
  }

  /** A server's store, with what it knows of definitions. */
  private final class Server implements AutoCloseable {
    private final KubernetesSelectors selectors =
        new KubernetesSelectors(new KeySpace("/registry"));
    private final Store store;
    private final WatchHub hub;
    private final Definitions definitions;

    Server() throws OpenException {
      store = SqlStore.open(place.options(), place.clock(), StoreMetrics.NONE, selectors);
      hub = new WatchHub(store.log(), WatchOptions.defaults());
      definitions = Definitions.follow(recorded(store), hub::open, selectors);
    }

    private Store recorded(Store store) {
      return (Store)
          Proxy.newProxyInstance(
              Store.class.getClassLoader(),
              new Class<?>[] {Store.class},
              (_, method, arguments) -> {
                if (method.getName().equals("forget") || method.getName().equals("gather")) {
                  calls.add(method.getName());
                }
                return method.invoke(store, arguments);
              });
    }

    void awaitServed(boolean served) {
      OwnerReference owner = new OwnerReference("example.com/v1", "Widget", "w", "u", true, true);
      Await.until(
          "served: " + served,
          () -> selectors.kinds().resolve(owner) instanceof Kind.Served == served);
    }

    long put(String key, String value) {
      try (MemoryBudget.Share share = place.budget().open()) {
        return Await.answer(store.txn(Txn.of(Ops.put(key, value)), share)).revision();
      }
    }

    void put(int number, String color) {
      put("/registry/example.com/widgets/n/" + number, widget(color));
    }

    Filter filter(String fields) {
      try {
        selectors.settle(WIDGETS);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      return selectors.select(WIDGETS, "", fields).filter();
    }

    List<String> found(String fields) {
      try (MemoryBudget.Share share = place.budget().open()) {
        return store.range(RangeQuery.of(WIDGETS).filtered(filter(fields)), share).kvs().stream()
            .map(KeyValue::key)
            .map(key -> key.toString().substring(key.toString().lastIndexOf('/') + 1))
            .toList();
      }
    }

    void awaitGathered(String fields) {
      Await.until(
          fields,
          () -> {
            List<Requirement> requirements = filter(fields).requirements();
            return !requirements.isEmpty()
                && store.gathered().contains(requirements.getFirst().name());
          });
    }

    @Override
    public void close() {
      definitions.close();
      hub.close();
      store.close();
    }
  }

  @Test
  void fieldsAreFoundAfterAnotherStart() throws OpenException {
    try (Server server = new Server()) {
      server.put(1, "red");
      server.put(DEFINITION_KEY, definition(""));
      server.awaitGathered("spec.color=red");
      server.put(2, "blue");
      assertThat(server.found("spec.color=red")).containsExactly("1");
    }
    try (Server server = new Server()) {
      server.put(3, "red");
      assertThat(server.found("spec.color=red")).as("at once").containsExactly("1", "3");
    }
  }

  @Test
  void aDefinitionIsForgottenBeforeItsSuccessorIsSeen() throws OpenException {
    try (Server server = new Server()) {
      server.put(DEFINITION_KEY, definition(""));
      server.put(1, "");
      server.awaitGathered("spec.color=red");
      assertThat(server.found("spec.color=red")).isEmpty();
      for (int i = 0; i < 20; i++) {
        server.put(2, "blue");
        server.put(DEFINITION_KEY, definition("default"));
        assertThat(server.found("spec.color=red")).as("round %d", i).contains("1");
        server.awaitGathered("spec.color=red");
        assertThat(server.found("spec.color=red")).as("round %d", i).containsExactly("1");
        server.put(DEFINITION_KEY, definition(""));
        server.put(2, "red");
        server.awaitGathered("spec.color=red");
        assertThat(server.found("spec.color=red")).as("round %d", i).containsExactly("2");
      }
    }
  }

  @Test
  void whatIsServedChangesNothingOfWhatWasGathered() throws OpenException {
    String served = definition("");
    String unserved = served.replace("\"served\":true", "\"served\":false");
    String deleting =
        served.replace("\"metadata\":{", "\"metadata\":{\"deletionTimestamp\":\"2026-01-01\",");
    try (Server server = new Server()) {
      server.put(DEFINITION_KEY, served);
      server.put(1, "red");
      server.awaitGathered("spec.color=red");
      assertThat(calls).containsExactly("gather");
      server.put(DEFINITION_KEY, unserved);
      server.awaitServed(false);
      server.put(DEFINITION_KEY, served);
      server.awaitServed(true);
      server.put(DEFINITION_KEY, deleting);
      Resource widgets = Resource.of("example.com", "widgets");
      Await.until(
          "deleting", () -> requireNonNull(server.selectors.definition(widgets)).isDeleting());
      assertThat(calls).containsExactly("gather");
      assertThat(server.found("spec.color=red")).containsExactly("1");
      server.definitions.close();
      server.put(DEFINITION_KEY, unserved);
    }
    try (Server server = new Server()) {
      server.awaitServed(false);
      assertThat(server.filter("spec.color=red").requirements()).isNotEmpty();
      server.put(DEFINITION_KEY, definition("default"));
      server.awaitServed(true);
      assertThat(calls).as("another default").containsExactly("gather", "forget", "gather");
    }
  }

  /** It goes back to a definition whose fields were gathered, and has missed some since. */
  @Test
  void aDefinitionThatIsReplacedWhileNobodyLooksIsForgotten() throws OpenException {
    AttributeName gathered;
    try (Server server = new Server()) {
      server.put(DEFINITION_KEY, definition(""));
      server.awaitGathered("spec.color=red");
      gathered = server.filter("spec.color=red").requirements().getFirst().name();
      server.definitions.close();
      server.put(DEFINITION_KEY, definition("size"));
    }
    try (Server server = new Server()) {
      assertThat(server.store.gathered()).doesNotContain(gathered);
      server.put(1, "red");
      server.put(DEFINITION_KEY, definition(""));
      assertThat(server.found("spec.color=red")).containsExactly("1");
      server.awaitGathered("spec.color=red");
      assertThat(server.filter("spec.color=red").requirements().getFirst().name())
          .isEqualTo(gathered);
      assertThat(server.found("spec.color=red")).containsExactly("1");
    }
  }

  @Test
  void aFilterOfAnOldDefinitionRelatesToNothing() throws OpenException {
    try (Server server = new Server()) {
      server.put(DEFINITION_KEY, definition(""));
      server.awaitGathered("spec.color=red");
      Filter old = server.filter("spec.color=red");
      Bytes key = Bytes.of("/registry/example.com/widgets/n/1");
      Attributes before = server.selectors.read(key, Bytes.of(widget("blue")));
      assertThat(old.matches(key, before)).isFalse();
      server.put(DEFINITION_KEY, definition("default"));
      server.awaitGathered("spec.color=red");
      Attributes after = server.selectors.read(key, Bytes.of(widget("blue")));
      assertThat(old.matches(key, after)).as("an event for a watch of then").isTrue();
      assertThat(server.filter("spec.color=red").matches(key, after)).isFalse();
    }
  }
}
