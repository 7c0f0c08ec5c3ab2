package io.harikube.gc;

import io.harikube.gc.Judgement.Owner;
import io.harikube.gc.Judgement.Policy;
import io.harikube.gc.Objects.Found;
import io.harikube.kubernetes.Deletion;
import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.Edges.Finalizers;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.Kind;
import io.harikube.kubernetes.Kinds;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.ObjectKey;
import io.harikube.kubernetes.ObjectReader;
import io.harikube.kubernetes.OwnerReference;
import io.harikube.kubernetes.Resource;
import io.harikube.store.Bytes;
import io.harikube.store.KeyValue;
import io.harikube.store.Task;
import io.harikube.store.Tasks;
import io.harikube.store.Txn;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Looks at an object and its owners, and does with it what Kubernetes' collector would do. Safe for
 * many threads.
 */
final class Judge {
  private final Tasks tasks;
  private final KeySpace keys;
  private final Kinds kinds;
  private final Objects objects;
  private final Counts counts;

  Judge(Tasks tasks, KeySpace keys, Kinds kinds, Objects objects, Counts counts) {
    this.tasks = tasks;
    this.keys = keys;
    this.kinds = kinds;
    this.objects = objects;
    this.counts = counts;
  }

  /**
   * An owner that is known to be gone, though its kind may be, too.
   *
   * @param uid as {@link Edges#subject} has it
   */
  record Gone(String uid, ObjectKey key) {}

  /**
   * Does with an object what Kubernetes would do.
   *
   * @param gone an owner that is known to be gone; null for none
   * @param visible whether it is ours also if it is not hidden
   */
  Outcome look(Bytes key, @Nullable Gone gone, boolean visible) {
    for (int attempt = 0; attempt < Objects.ATTEMPTS; attempt++) {
      Found object = objects.read(key);
      counts.add(Counts.What.LOOKED_AT);
      if (object == null || object.info().deleting() || object.info().ownerReferences().isEmpty()) {
        return Outcome.DONE;
      }
      if (!object.isHidden() && !(visible && isPlain(object.resource()))) {
        return Outcome.DONE;
      }
      Outcome outcome = judge(object, gone);
      if (outcome != null) {
        return outcome;
      }
    }
    return Outcome.AGAIN;
  }

  private boolean isPlain(Resource resource) {
    return kinds.kindOf(resource) instanceof Kind.Served(var _, var _, var deletion)
        && deletion == Deletion.PLAIN;
  }

  /** Answers null if something has changed meanwhile. */
  private @Nullable Outcome judge(Found object, @Nullable Gone gone) {
    if (object.isHidden() && !isPlain(object.resource())) {
      return blocked(ObjectInfo.groupOf(object.info().apiVersion()), object.info().kind());
    }
    List<Txn.Compare> conditions = new ArrayList<>();
    conditions.add(Objects.unchanged(object.kv()));
    Map<OwnerReference, Owner> owners = new LinkedHashMap<>();
    Set<String> absent = new HashSet<>();
    for (OwnerReference reference : object.info().ownerReferences()) {
      Kind kind = kinds.resolve(reference);
      if (isGoneWithItsKind(reference, kind, object, gone)) {
        owners.put(reference, Owner.DANGLING);
        continue;
      }
      if (!(kind instanceof Kind.Served served)) {
        counts.add(Counts.What.BLOCKED_BY_KIND);
        // Of what is visible kube-controller-manager looks after what becomes of it.
        return object.isHidden()
            ? blocked(ObjectInfo.groupOf(reference.apiVersion()), reference.kind())
            : Outcome.DONE;
      }
      ObjectKey place = served.object(object.namespace(), reference.name());
      if (place == null) {
        counts.add(Counts.What.BLOCKED_BY_SCOPE);
        return Outcome.DONE;
      }
      Owner owner = owner(reference, keys.key(place), conditions);
      owners.put(reference, owner);
      if (owner == Owner.DANGLING) {
        absent.add(Edges.subject(reference.uid()));
      }
    }
    if (!absent.isEmpty()) {
      spareOrphans(owners, absent);
    }
    Judgement judgement = Judgement.of(object.info(), owners, () -> hasDependents(object.uid()));
    return switch (judgement) {
      case Judgement.Keep _ -> Outcome.DONE;
      case Judgement.Free(Set<String> uids) -> objects.free(object, uids, conditions);
      case Judgement.Delete(Policy policy) ->
          objects.delete(object, policy, owners.containsValue(Owner.WAITING), conditions);
    };
  }

  private static Outcome blocked(String group, String kind) {
    return new Outcome.Blocked(kindSubject(group, kind));
  }

  /** What objects wait for that have an owner of a kind that is not known. */
  static String kindSubject(String group, String kind) {
    return Edges.subject("kind " + group + "/" + kind);
  }

  /**
   * Whether a reference names what is gone together with its kind, so that nobody can say any more
   * where it was. What has a kind is looked for: it may have come back.
   */
  private static boolean isGoneWithItsKind(
      OwnerReference reference, Kind kind, Found object, @Nullable Gone gone) {
    return gone != null
        && kind instanceof Kind.NotServed(var reason)
        && reason == Kind.Reason.UNKNOWN_KIND
        && gone.uid.equals(Edges.subject(reference.uid()))
        && gone.key.name().equals(reference.name())
        && (gone.key.namespace().isEmpty() || gone.key.namespace().equals(object.namespace()))
        && ObjectInfo.groupOf(reference.apiVersion()).equals(gone.key.resource().group());
  }

  /** Whether any owner of an object is gone, as far as can be told. */
  boolean isDangling(Found object) {
    for (OwnerReference reference : object.info().ownerReferences()) {
      ObjectKey place =
          kinds.resolve(reference) instanceof Kind.Served served
              ? served.object(object.namespace(), reference.name())
              : null;
      if (place != null && owner(reference, keys.key(place), new ArrayList<>()) == Owner.DANGLING) {
        return true;
      }
    }
    return false;
  }

  private Owner owner(OwnerReference reference, Bytes key, List<Txn.Compare> conditions) {
    KeyValue kv = objects.get(key);
    if (kv == null) {
      conditions.add(Txn.Compare.equal(key, Txn.Compare.Target.VERSION, 0));
      return Owner.DANGLING;
    }
    Owner owner = owner(reference, kv);
    conditions.add(owner == Owner.SOLID ? Objects.sameObject(kv) : Objects.unchanged(kv));
    return owner;
  }

  private static Owner owner(OwnerReference reference, KeyValue kv) {
    if (!(ObjectReader.read(kv.value(), null) instanceof ObjectInfo owner)) {
      return Owner.SOLID; // it may be the right one
    }
    if (!owner.uid().equals(reference.uid())) {
      return Owner.DANGLING;
    }
    return owner.deleting() && owner.finalizers().contains(Finalizers.FOREGROUND)
        ? Owner.WAITING
        : Owner.SOLID;
  }

  /**
   * Owners that are gone and whose dependents are still being set free count as if they were there.
   * Whoever reads here that this is done has read the object before it was: then it has changed.
   */
  private void spareOrphans(Map<OwnerReference, Owner> owners, Set<String> absent) {
    Set<String> orphaning = new HashSet<>();
    for (Task task : tasks.about(absent)) {
      Work work = Work.of(task);
      if (work != null && work.isOrphaning()) {
        orphaning.add(task.subject());
      }
    }
    owners.replaceAll(
        (reference, owner) ->
            owner == Owner.DANGLING && orphaning.contains(Edges.subject(reference.uid()))
                ? Owner.SOLID
                : owner);
  }

  private boolean hasDependents(String uid) {
    return !tasks.keysWith(Edges.owner(uid), List.of(), Bytes.EMPTY, 1).isEmpty();
  }
}
