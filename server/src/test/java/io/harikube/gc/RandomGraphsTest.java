package io.harikube.gc;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.gc.GraphModel.Node;
import io.harikube.gc.GraphModel.Ref;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.ObjectReader;
import io.harikube.sql.OpenException;
import io.harikube.store.KeyValue;
import io.harikube.testing.Database;
import io.harikube.testing.OnSqlDatabases;
import io.harikube.testing.TestStore;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Random objects, owners and deletions: what is left is what Kubernetes would leave. */
@OnSqlDatabases
final class RandomGraphsTest {
  private static final int NAMES = 6;
  private static final int STEPS = 30;
  private static final int ORDERS = 2000;

  @AutoClose private final TestStore place;
  private final Database database;
  private int uids;

  /** How many uids graphs before this one have had: what is random does not depend on them. */
  private int uidsBefore;

  RandomGraphsTest(Database database) {
    this.database = database;
    place = database.open();
    place.store().close();
  }

  @Test
  void someGraphs() throws OpenException {
    play(20);
  }

  @Test
  @Tag("long")
  void manyGraphs() throws OpenException {
    play(1000);
  }

  private void play(int graphs) throws OpenException {
    long seed = Long.getLong("harikube.seed", System.nanoTime());
    try (GcServer server = new GcServer(place, Mode.ON, false)) {
      for (int graph = 0; graph < graphs; graph++) {
        play(server, seed + graph);
      }
    }
  }

  private void play(GcServer server, long seed) {
    Random random = new Random(seed);
    uidsBefore = uids;
    GraphModel model = new GraphModel();
    List<String> steps = new ArrayList<>();
    for (int i = 0; i < STEPS; i++) {
      steps.add(step(server, model, random));
      server.settle();
      GraphModel found = found(server);
      assertThat(possible(model, found.text()))
          .as("on %s with -Dharikube.seed=%d, after %s", database, seed, steps)
          .contains(found.text());
      model = found;
    }
    while (!server.names().isEmpty()) {
      server.names().forEach(server::delete);
      server.settle();
    }
  }

  /** What may be left, or enough of it. */
  private static Set<Map<String, String>> possible(GraphModel before, Map<String, String> found) {
    Set<Map<String, String>> all = new HashSet<>();
    Random random = new Random(1);
    for (int order = 0; order < ORDERS && !all.contains(found); order++) {
      GraphModel model = before.copy();
      model.collect(random);
      all.add(model.text());
    }
    return all;
  }

  private String step(GcServer server, GraphModel model, Random random) {
    String name = "t" + random.nextInt(NAMES);
    Node node = model.nodes.get(name);
    if (node == null) {
      node = new Node(name, "u" + uids++, refs(model, List.of(), random), finalizers(random));
      model.nodes.put(name, node);
      server.put(thing(node));
      return "create " + node;
    }
    String before = node.toString();
    switch (random.nextInt(5)) {
      case 0 -> node.refs = refs(model, node.refs, random);
      case 1, 2 -> {
        if (!node.finalizers.isEmpty()) {
          model.release(node, node.finalizers.get(random.nextInt(node.finalizers.size())));
        }
      }
      default -> {
        String[] policies = {null, "foregroundDeletion", "orphan"};
        model.delete(node, policies[random.nextInt(policies.length)]);
      }
    }
    if (model.nodes.containsKey(name)) {
      server.put(thing(node));
      return before + " becomes " + node;
    }
    server.delete(name);
    return "delete " + before;
  }

  private List<Ref> refs(GraphModel model, List<Ref> old, Random random) {
    List<Ref> refs = new ArrayList<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      String owner = "t" + random.nextInt(NAMES);
      Node there = model.nodes.get(owner);
      String uid =
          there == null || random.nextInt(10) == 0
              ? "u" + (uidsBefore + random.nextInt(uids - uidsBefore + 1))
              : there.uid;
      // That a reference gets another name, and nothing else, is nothing that Kubernetes looks at.
      boolean renamed =
          old.stream().anyMatch(ref -> ref.uid().equals(uid) && !ref.name().equals(owner));
      if (!renamed && refs.stream().noneMatch(ref -> ref.uid().equals(uid))) {
        refs.add(new Ref(owner, uid, random.nextBoolean()));
      }
    }
    return refs;
  }

  private static List<String> finalizers(Random random) {
    return switch (random.nextInt(6)) {
      case 0 -> List.of("example.com/held");
      case 1 -> List.of("orphan");
      case 2 -> List.of("example.com/held", "foregroundDeletion");
      default -> List.of();
    };
  }

  private static Thing thing(Node node) {
    Thing thing = Thing.named(node.name).uid(node.uid);
    if (node.deleting) {
      thing = thing.deleting();
    }
    for (Ref ref : node.refs) {
      thing = thing.owner("example.com/v1", "Thing", ref.name(), ref.uid(), ref.blocks());
    }
    for (String finalizer : node.finalizers) {
      thing = thing.finalizer(finalizer);
    }
    return thing;
  }

  private static GraphModel found(GcServer server) {
    GraphModel all = new GraphModel();
    for (KeyValue kv : server.all()) {
      ObjectInfo info = (ObjectInfo) ObjectReader.read(kv.value(), null);
      Node node =
          new Node(
              info.name(),
              info.uid(),
              info.ownerReferences().stream()
                  .map(owner -> new Ref(owner.name(), owner.uid(), owner.blockOwnerDeletion()))
                  .toList(),
              info.finalizers());
      node.deleting = info.deleting();
      all.nodes.put(info.name(), node);
    }
    return all;
  }
}
