package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Changes to an object, and what the object says of itself after them. */
record EditPlan(
    Set<String> goneOwners,
    Unblock unblock,
    Set<String> goneLabels,
    @Nullable List<String> finalizers,
    @Nullable Instant deletedAt,
    long gracePeriodSeconds) {
  /** Texts that are owners, labels and finalizers of random objects. */
  static final List<String> NAMES =
      List.of("a", "b/ä", "\"", "\\u0061", "😀", "", "foregroundDeletion", "\n\t");

  /** Between the times of random objects, some of which are later. */
  static final Instant NOW = Instant.parse("2026-03-04T05:06:07.890Z");

  enum Unblock {
    NONE,
    BLOCKING,
    ALL
  }

  static EditPlan random(Random random) {
    boolean finalizers = random.nextInt(3) == 0;
    boolean deletion = random.nextInt(3) == 0;
    return new EditPlan(
        random.nextBoolean() ? Set.of() : new HashSet<>(names(random)),
        Unblock.values()[random.nextInt(3)],
        random.nextBoolean() ? Set.of() : new HashSet<>(names(random)),
        finalizers ? names(random) : null,
        deletion ? NOW : null,
        random.nextInt(2) * 30L);
  }

  static List<String> names(Random random) {
    List<String> names = new ArrayList<>();
    for (int n = random.nextInt(4); n > 0; n--) {
      names.add(NAMES.get(random.nextInt(NAMES.size())));
    }
    return names;
  }

  Bytes apply(Bytes value) throws NotEditableException {
    ObjectEdit edit = ObjectEdit.of(value).withoutOwners(goneOwners).withoutLabels(goneLabels);
    switch (unblock) {
      case BLOCKING -> edit.unblockOwners();
      case ALL -> edit.unblockAllOwners();
      default -> {}
    }
    if (finalizers != null) {
      edit.finalizers(finalizers);
    }
    if (deletedAt != null) {
      edit.markDeleting(deletedAt, gracePeriodSeconds);
    }
    return edit.bytes();
  }

  /** What the reader finds after the changes, of an object without labels by default. */
  ObjectInfo expected(ObjectInfo before) {
    Map<String, String> labels = new HashMap<>(before.labels());
    labels.keySet().removeAll(goneLabels);
    return new ObjectInfo(
        before.apiVersion(),
        before.kind(),
        before.namespace(),
        before.name(),
        before.uid(),
        labels,
        before.fields(),
        owners(before.ownerReferences()),
        finalizers == null ? before.finalizers() : finalizers,
        deletedAt != null || before.deleting(),
        deletedAt != null ? gracePeriodSeconds : before.deletionGracePeriodSeconds());
  }

  private List<OwnerReference> owners(List<OwnerReference> before) {
    List<OwnerReference> owners = new ArrayList<>();
    for (OwnerReference o : before) {
      if (!goneOwners.contains(o.uid())) {
        boolean blocks = o.blockOwnerDeletion() && unblock == Unblock.NONE;
        owners.add(
            new OwnerReference(
                o.apiVersion(), o.kind(), o.name(), o.uid(), o.controller(), blocks));
      }
    }
    return owners;
  }
}
