package io.harikube.gc;

import static java.util.stream.Collectors.joining;

import io.harikube.kubernetes.AdmissionHooks;
import io.harikube.kubernetes.Definitions;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.Kind;
import io.harikube.kubernetes.Kinds;
import io.harikube.kubernetes.KubernetesSelectors;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.ObjectReader;
import io.harikube.kubernetes.OwnerReference;
import io.harikube.kubernetes.Resource;
import io.harikube.sql.OpenException;
import io.harikube.sql.SqlStore;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.harikube.store.Tasks;
import io.harikube.store.Txn;
import io.harikube.testing.Await;
import io.harikube.testing.Ops;
import io.harikube.testing.TestStore;
import io.harikube.watch.WatchHub;
import io.harikube.watch.WatchOptions;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A server's store with what it knows of Kubernetes, and a collector. */
final class GcServer implements AutoCloseable {
  private static final String THINGS = "/registry/example.com/things/n/";

  private final TestStore place;
  private final Store store;
  private final WatchHub hub;
  private final Definitions definitions;
  private final AdmissionHooks hooks;
  private final Kinds kinds;
  private final Collector collector;
  private final Counts counts = new Counts();

  GcServer(TestStore place, Mode mode, boolean adopt) throws OpenException {
    this.place = place;
    KeySpace keys = new KeySpace("/registry");
    KubernetesSelectors selectors = new KubernetesSelectors(keys);
    kinds = selectors.kinds();
    Rules rules = new Rules(keys);
    store = SqlStore.open(place.options(), place.clock(), StoreMetrics.NONE, selectors, rules);
    hub = new WatchHub(store.log(), WatchOptions.defaults());
    define("example.com", "things", "Thing");
    definitions = Definitions.follow(store, hub::open, selectors);
    hooks = AdmissionHooks.follow(store, hub::open, keys);
    collector =
        Collector.start(
            store, rules, keys, kinds, hooks::seeDeletionsOf, place.clock(), mode, adopt, counts);
  }

  void define(String group, String plural, String kind) {
    define(group, plural, kind, "v1");
  }

  /** Defines a kind that is served in these versions. */
  void define(String group, String plural, String kind, String... versions) {
    String served =
        Stream.of(versions)
            .map("{\"name\":\"%s\",\"served\":true}"::formatted)
            .collect(joining(","));
    write(
        Ops.put(
            "/registry/apiextensions.k8s.io/customresourcedefinitions/" + plural + "." + group,
            """
            {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
             "metadata":{"name":"%s.%s"},
             "spec":{"group":"%s","scope":"Namespaced","names":{"plural":"%s","kind":"%s"},
             "versions":[%s]}}\
            """
                .formatted(plural, group, group, plural, kind, served)));
  }

  private void write(Txn.Op op) {
    write(Txn.of(op));
  }

  /** Writes several keys at once. */
  void write(Txn txn) {
    try (MemoryBudget.Share share = place.budget().open()) {
      Await.answer(store.txn(txn, share));
    }
  }

  /** What there is to be done, and what waits. */
  Tasks tasks() {
    return store.tasks();
  }

  /** Sets any key. */
  void put(String key, String value) {
    write(Ops.put(key, value));
  }

  /** Deletes any key. */
  void remove(String key) {
    write(Ops.delete(key));
  }

  /** Waits until it is known whether deletions are looked at of a namespaced resource. */
  void awaitHooks(String path, boolean seen) {
    Await.until(
        "deletions of " + path + " are looked at: " + seen,
        () -> hooks.seeDeletionsOf(new Resource(path), true) == seen);
  }

  /** Waits until a version of a kind is served, or is not. */
  void awaitKind(String apiVersion, String kind, boolean served) {
    OwnerReference owner = new OwnerReference(apiVersion, kind, "x", "uid-x", false, false);
    Await.until(
        apiVersion + " is served: " + served,
        () -> kinds.resolve(owner) instanceof Kind.Served == served);
  }

  void put(Thing thing) {
    write(Ops.put(THINGS + thing.name(), thing.json()));
  }

  void delete(String name) {
    write(new Txn.Delete(KeyRange.single(Bytes.of(THINGS + name)), false));
  }

  /** Waits until there is nothing to be done but what waits for something. */
  void settle() {
    Await.until("everything is collected", collector::isIdle);
  }

  void stopCollecting() {
    collector.close();
  }

  List<KeyValue> all() {
    try (MemoryBudget.Share share = place.budget().open()) {
      return store.range(RangeQuery.of(KeyRange.prefix(Bytes.of(THINGS))), share).kvs();
    }
  }

  List<String> names() {
    return all().stream().map(kv -> kv.key().toString().substring(THINGS.length())).toList();
  }

  /** The value of any key; null if there is none. */
  @Nullable Bytes find(String key) {
    try (MemoryBudget.Share share = place.budget().open()) {
      List<KeyValue> found =
          store.range(RangeQuery.of(KeyRange.single(Bytes.of(key))), share).kvs();
      return found.isEmpty() ? null : found.getFirst().value();
    }
  }

  /** What is stored of a thing. */
  Bytes value(String name) {
    return all().stream()
        .filter(kv -> kv.key().toString().equals(THINGS + name))
        .findFirst()
        .orElseThrow(() -> new AssertionError("there is no " + name))
        .value();
  }

  private ObjectInfo info(String name) {
    return (ObjectInfo) ObjectReader.read(value(name), null);
  }

  List<String> owners(String name) {
    return info(name).ownerReferences().stream().map(OwnerReference::uid).toList();
  }

  List<String> finalizers(String name) {
    return info(name).finalizers();
  }

  boolean isDeleting(String name) {
    return info(name).deleting();
  }

  /** How often it has looked at an object. */
  long looks() {
    return counts.get(Counts.What.LOOKED_AT);
  }

  @Override
  public void close() {
    collector.close();
    hooks.close();
    definitions.close();
    hub.close();
    store.close();
  }
}
