package io.harikube.gc;

import java.util.ArrayList;
import java.util.List;

/** A custom resource as the API server writes it. Hidden, unless it is made visible. */
record Thing(
    String name,
    String uid,
    boolean hidden,
    boolean isDeleting,
    List<String> owners,
    List<String> finalizers) {

  static Thing named(String name) {
    return new Thing(name, "uid-" + name, true, false, List.of(), List.of());
  }

  Thing uid(String other) {
    return new Thing(name, other, hidden, isDeleting, owners, finalizers);
  }

  Thing visible() {
    return new Thing(name, uid, false, isDeleting, owners, finalizers);
  }

  Thing deleting() {
    return new Thing(name, uid, hidden, true, owners, finalizers);
  }

  Thing finalizer(String finalizer) {
    return new Thing(name, uid, hidden, isDeleting, owners, with(finalizers, finalizer));
  }

  Thing ownedBy(String owner) {
    return owner("example.com/v1", "Thing", owner, "uid-" + owner, false);
  }

  Thing blocking(String owner) {
    return owner("example.com/v1", "Thing", owner, "uid-" + owner, true);
  }

  Thing owner(String apiVersion, String kind, String owner, String ownerUid, boolean blocks) {
    String reference =
        """
        {"apiVersion":"%s","blockOwnerDeletion":%s,"kind":"%s","name":"%s","uid":"%s"}"""
            .formatted(apiVersion, blocks, kind, owner, ownerUid);
    return new Thing(name, uid, hidden, isDeleting, with(owners, reference), finalizers);
  }

  private static List<String> with(List<String> list, String more) {
    List<String> all = new ArrayList<>(list);
    all.add(more);
    return List.copyOf(all);
  }

  String json() {
    return json("example.com/v1", "Thing");
  }

  /** As an object of another kind. */
  String json(String apiVersion, String kind) {
    return "{\"apiVersion\":\""
        + apiVersion
        + "\",\"kind\":\""
        + kind
        + "\",\"metadata\":{"
        + (isDeleting
            ? "\"deletionGracePeriodSeconds\":0,\"deletionTimestamp\":\"2026-01-01T00:00:00Z\","
            : "")
        + (finalizers.isEmpty()
            ? ""
            : "\"finalizers\":[\"" + String.join("\",\"", finalizers) + "\"],")
        + "\"generation\":1,"
        + (hidden ? "\"labels\":{\"skip-controller-manager-metadata-caching\":\"\"}," : "")
        + "\"name\":\""
        + name
        + "\",\"namespace\":\"n\","
        + (owners.isEmpty() ? "" : "\"ownerReferences\":[" + String.join(",", owners) + "],")
        + "\"uid\":\""
        + uid
        + "\"},\"spec\":{}}";
  }
}
