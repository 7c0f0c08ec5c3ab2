package io.harikube.gc;

import io.harikube.kubernetes.Edges.Finalizers;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.OwnerReference;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;

/** What Kubernetes' garbage collector does with an object. */
sealed interface Judgement {

  /** Nothing. */
  record Keep() implements Judgement {}

  /** It loses the owner references with these uids, and stays. */
  record Free(Set<String> uids) implements Judgement {}

  /** It is deleted. */
  record Delete(Policy policy) implements Judgement {}

  /** How dependents are dealt with. */
  enum Policy {
    BACKGROUND,
    FOREGROUND,
    ORPHAN
  }

  /** What has become of an owner. */
  enum Owner {
    /** It is there. */
    SOLID,
    /** It is there, and waits for its dependents to go. */
    WAITING,
    /** There is no such object, or it is another one than the reference means. */
    DANGLING
  }

  Judgement KEEP = new Keep();

  /**
   * Judges an object whose owners are all known: as attemptToDeleteItem does in
   * pkg/controller/garbagecollector of Kubernetes.
   *
   * @param owners of each of its references, what has become of the owner
   * @param hasDependents whether any object has it as an owner; asked only if it matters
   */
  static Judgement of(
      ObjectInfo object, Map<OwnerReference, Owner> owners, BooleanSupplier hasDependents) {
    if (object.deleting() || owners.isEmpty()) {
      return KEEP;
    }
    if (owners.containsValue(Owner.SOLID)) {
      Set<String> others = new HashSet<>();
      owners.forEach(
          (reference, owner) -> {
            if (owner != Owner.SOLID) {
              others.add(reference.uid());
            }
          });
      return others.isEmpty() ? KEEP : new Free(others);
    }
    if (owners.containsValue(Owner.WAITING) && hasDependents.getAsBoolean()) {
      return new Delete(Policy.FOREGROUND);
    }
    return new Delete(ownPolicy(object.finalizers()));
  }

  private static Policy ownPolicy(List<String> finalizers) {
    if (finalizers.contains(Finalizers.ORPHAN)) {
      return Policy.ORPHAN;
    }
    return finalizers.contains(Finalizers.FOREGROUND) ? Policy.FOREGROUND : Policy.BACKGROUND;
  }

  /**
   * The finalizers of an object that is deleted with a policy; in the old order if none changes.
   */
  static List<String> finalizers(List<String> before, Policy policy) {
    List<String> own =
        switch (policy) {
          case BACKGROUND -> List.of();
          case FOREGROUND -> List.of(Finalizers.FOREGROUND);
          case ORPHAN -> List.of(Finalizers.ORPHAN);
        };
    List<String> after = new ArrayList<>(before);
    after.removeAll(List.of(Finalizers.FOREGROUND, Finalizers.ORPHAN));
    after.addAll(own);
    return Set.copyOf(after).equals(Set.copyOf(before)) ? before : after;
  }
}
