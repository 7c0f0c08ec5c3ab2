package io.harikube.gc;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Kubernetes' rules of garbage collection on a handful of objects of one namespace, one after the
 * other in any order, until nothing changes. What is left may depend on the order, in Kubernetes,
 * too: the collector must end as some order does.
 */
final class GraphModel {
  private static final String FOREGROUND = "foregroundDeletion";
  private static final String ORPHAN = "orphan";

  /** A reference to an owner. */
  record Ref(String name, String uid, boolean blocks) {}

  /** An object. */
  static final class Node {
    final String name;
    final String uid;
    List<Ref> refs;
    List<String> finalizers;
    boolean deleting;

    Node(String name, String uid, List<Ref> refs, List<String> finalizers) {
      this.name = name;
      this.uid = uid;
      this.refs = refs;
      this.finalizers = finalizers;
    }

    boolean waits() {
      return deleting && finalizers.contains(FOREGROUND);
    }

    String text() {
      return deleting ? uid + " deleting, held by " + finalizers : toString();
    }

    @Override
    public String toString() {
      return name
          + "("
          + uid
          + ") owners "
          + refs
          + " finalizers "
          + finalizers
          + (deleting ? " deleting" : "");
    }
  }

  final Map<String, Node> nodes = new TreeMap<>();

  GraphModel copy() {
    GraphModel copy = new GraphModel();
    nodes.forEach(
        (name, node) -> {
          Node same = new Node(name, node.uid, node.refs, node.finalizers);
          same.deleting = node.deleting;
          copy.nodes.put(name, same);
        });
    return copy;
  }

  /** All objects as text; which owners an object still has that is being deleted says nothing. */
  Map<String, String> text() {
    Map<String, String> all = new TreeMap<>();
    nodes.forEach((name, node) -> all.put(name, node.text()));
    return all;
  }

  /** Deletes an object as the API server does when a client asks for it. */
  void delete(Node node, @Nullable String policy) {
    List<String> finalizers = new ArrayList<>(node.finalizers);
    finalizers.removeAll(List.of(FOREGROUND, ORPHAN));
    if (policy != null) {
      finalizers.add(policy);
    }
    node.finalizers =
        new HashSet<>(finalizers).equals(new HashSet<>(node.finalizers))
            ? node.finalizers
            : List.copyOf(finalizers);
    if (finalizers.isEmpty()) {
      nodes.remove(node.name);
    } else {
      node.deleting = true;
    }
  }

  /** Takes a finalizer away, and the object with the last one if it is being deleted. */
  void release(Node node, String finalizer) {
    List<String> finalizers = new ArrayList<>(node.finalizers);
    finalizers.remove(finalizer);
    node.finalizers = List.copyOf(finalizers);
    if (node.deleting && finalizers.isEmpty()) {
      nodes.remove(node.name);
    }
  }

  /** Does what the collector has to do, in some order: after each step any other may be next. */
  void collect(Random random) {
    while (step(random)) {}
  }

  private boolean step(Random random) {
    List<Node> all = new ArrayList<>(nodes.values());
    Collections.shuffle(all, random);
    for (Node node : all) {
      if (evaluate(node) || end(node, all)) {
        return true;
      }
    }
    return false;
  }

  private boolean end(Node node, List<Node> all) {
    if (node.deleting && node.finalizers.contains(ORPHAN)) {
      all.stream()
          .filter(each -> each.refs.stream().anyMatch(ref -> ref.uid.equals(node.uid)))
          .findFirst()
          .ifPresentOrElse(each -> free(each, Set.of(node.uid)), () -> release(node, ORPHAN));
      return true;
    }
    if (node.waits() && nodes.values().stream().noneMatch(each -> blocks(each, node))) {
      release(node, FOREGROUND);
      return true;
    }
    return false;
  }

  private static boolean blocks(Node dependent, Node owner) {
    return dependent.refs.stream().anyMatch(ref -> ref.uid.equals(owner.uid) && ref.blocks);
  }

  private static void free(Node node, Set<String> uids) {
    node.refs = node.refs.stream().filter(ref -> !uids.contains(ref.uid)).toList();
  }

  private boolean evaluate(Node node) {
    if (node.deleting || node.refs.isEmpty()) {
      return false;
    }
    Set<String> others = new HashSet<>();
    boolean solid = false;
    boolean waiting = false;
    for (Ref ref : node.refs) {
      Node owner = nodes.get(ref.name);
      if (owner == null || !owner.uid.equals(ref.uid)) {
        others.add(ref.uid);
      } else if (owner.waits()) {
        waiting = true;
        others.add(ref.uid);
      } else {
        solid = true;
      }
    }
    if (solid) {
      free(node, others);
      return !others.isEmpty();
    }
    List<Node> dependents =
        nodes.values().stream()
            .filter(each -> each.refs.stream().anyMatch(ref -> ref.uid.equals(node.uid)))
            .toList();
    if (waiting && !dependents.isEmpty()) {
      if (dependents.stream().anyMatch(Node::waits)) {
        node.refs = node.refs.stream().map(ref -> new Ref(ref.name, ref.uid, false)).toList();
      }
      delete(node, FOREGROUND);
    } else {
      delete(
          node,
          node.finalizers.contains(ORPHAN)
              ? ORPHAN
              : node.finalizers.contains(FOREGROUND) ? FOREGROUND : null);
    }
    return true;
  }
}
