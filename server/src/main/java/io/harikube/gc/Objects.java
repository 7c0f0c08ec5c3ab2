package io.harikube.gc;

import io.harikube.gc.Judgement.Owner;
import io.harikube.gc.Judgement.Policy;
import io.harikube.kubernetes.Deletion;
import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.Edges.Finalizers;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.Kind;
import io.harikube.kubernetes.Kinds;
import io.harikube.kubernetes.NotEditableException;
import io.harikube.kubernetes.ObjectEdit;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.ObjectKey;
import io.harikube.kubernetes.ObjectReader;
import io.harikube.kubernetes.OwnerReference;
import io.harikube.kubernetes.Place;
import io.harikube.kubernetes.Resource;
import io.harikube.log.RareLine;
import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.MemoryBudget;
import io.harikube.store.OpResult;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.Task;
import io.harikube.store.Txn;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * Deals with one object: reads it and its owners, and writes what has been found to be right if
 * none of them has changed meanwhile. Safe for many threads.
 */
final class Objects {
  /** Whoever changes an object so often meanwhile has it looked at later. */
  private static final int ATTEMPTS = 20;

  private static final int PAGE = 100;

  private static final RareLine DELETED =
      line(Level.INFO, "{}: deleted, as its owners are gone or going: {}");
  private static final RareLine FREED = line(Level.INFO, "{}: freed of owners: {}");
  private static final RareLine HANDED_OVER =
      line(
          Level.INFO,
          "{}: left to kube-controller-manager, as an admission webhook or policy looks at"
              + " deletions of its kind");
  private static final RareLine UNREADABLE =
      line(Level.WARN, "{}: garbage collection leaves it alone: {}");
  private static final RareLine WOULD = line(Level.INFO, "{}: would be {} now ({})");

  private final Store store;
  private final KeySpace keys;
  private final Kinds kinds;
  private final DeletionHooks hooks;
  private final InstantSource clock;
  private final Counts counts;
  private final boolean dry;

  Objects(
      Store store,
      KeySpace keys,
      Kinds kinds,
      DeletionHooks hooks,
      InstantSource clock,
      Counts counts,
      boolean dry) {
    this.store = store;
    this.keys = keys;
    this.kinds = kinds;
    this.hooks = hooks;
    this.clock = clock;
    this.counts = counts;
    this.dry = dry;
  }

  private static RareLine line(Level level, String message) {
    return new RareLine(
        LoggerFactory.getLogger(Objects.class), level, Duration.ofSeconds(1), message);
  }

  /** An object as it was read. */
  record Found(KeyValue kv, Resource resource, String namespace, ObjectInfo info) {
    Bytes key() {
      return kv.key();
    }

    boolean isHidden() {
      return Edges.isHidden(resource, info.labels());
    }

    String uid() {
      return Edges.subject(info.uid());
    }
  }

  /**
   * An owner that is known to be gone, though its kind may be, too.
   *
   * @param uid as {@link Edges#subject} has it
   */
  record Gone(String uid, ObjectKey key) {}

  /** What became of a look at an object. */
  sealed interface Outcome {}

  /** It has been dealt with, or need not be. */
  record Done() implements Outcome {}

  /** It is to be looked at again when something about this subject changes. */
  record Blocked(String subject) implements Outcome {}

  /** Others change it all the time. */
  record Again() implements Outcome {}

  private static final Outcome DONE = new Done();
  private static final Outcome AGAIN = new Again();

  /** An object; null if there is none with this key, or none that can be read. */
  @Nullable Found read(Bytes key) {
    KeyValue kv = get(key);
    if (kv == null || !(keys.place(key) instanceof Place.Objects(var resource, var namespace))) {
      return null;
    }
    return ObjectReader.read(kv.value(), null) instanceof ObjectInfo info
        ? new Found(kv, resource, namespace, info)
        : null;
  }

  private @Nullable KeyValue get(Bytes key) {
    RangeQuery query = RangeQuery.of(KeyRange.single(key));
    MemoryBudget.Share share = new MemoryBudget(Long.MAX_VALUE).open();
    OpResult.Range found = store.get(query, share).join();
    if (found == null) {
      found = store.range(query, share);
    }
    return found.kvs().isEmpty() ? null : found.kvs().getFirst();
  }

  /**
   * Does with an object what Kubernetes would do.
   *
   * @param gone an owner that is known to be gone; null for none
   * @param visible whether it is ours also if it is not hidden
   */
  Outcome look(Bytes key, @Nullable Gone gone, boolean visible) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Found object = read(key);
      counts.add(Counts.What.LOOKED_AT);
      if (object == null || object.info.deleting() || object.info.ownerReferences().isEmpty()) {
        return DONE;
      }
      if (!object.isHidden() && !(visible && isPlain(object.resource))) {
        return DONE;
      }
      Outcome outcome = judge(object, gone);
      if (outcome != null) {
        return outcome;
      }
    }
    return AGAIN;
  }

  private boolean isPlain(Resource resource) {
    return kinds.kindOf(resource) instanceof Kind.Served(var _, var _, var deletion)
        && deletion == Deletion.PLAIN;
  }

  /** Answers null if something has changed meanwhile. */
  private @Nullable Outcome judge(Found object, @Nullable Gone gone) {
    if (object.isHidden() && !isPlain(object.resource)) {
      return blocked(ObjectInfo.groupOf(object.info.apiVersion()), object.info.kind());
    }
    List<Txn.Compare> conditions = new ArrayList<>();
    conditions.add(unchanged(object.kv));
    Map<OwnerReference, Owner> owners = new LinkedHashMap<>();
    Set<String> absent = new HashSet<>();
    for (OwnerReference reference : object.info.ownerReferences()) {
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
            : DONE;
      }
      ObjectKey place = served.object(object.namespace, reference.name());
      if (place == null) {
        counts.add(Counts.What.BLOCKED_BY_SCOPE);
        return DONE;
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
    Judgement judgement = Judgement.of(object.info, owners, () -> hasDependents(object.uid()));
    return switch (judgement) {
      case Judgement.Keep _ -> DONE;
      case Judgement.Free(Set<String> uids) -> free(object, uids, conditions);
      case Judgement.Delete(Policy policy) ->
          delete(object, policy, owners.containsValue(Owner.WAITING), conditions);
    };
  }

  private static Outcome blocked(String group, String kind) {
    return new Blocked(kindSubject(group, kind));
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
        && (gone.key.namespace().isEmpty() || gone.key.namespace().equals(object.namespace))
        && ObjectInfo.groupOf(reference.apiVersion()).equals(gone.key.resource().group());
  }

  /** Whether any owner of an object is gone, as far as can be told. */
  boolean isDangling(Found object) {
    for (OwnerReference reference : object.info.ownerReferences()) {
      ObjectKey place =
          kinds.resolve(reference) instanceof Kind.Served served
              ? served.object(object.namespace, reference.name())
              : null;
      if (place != null && owner(reference, keys.key(place), new ArrayList<>()) == Owner.DANGLING) {
        return true;
      }
    }
    return false;
  }

  private Owner owner(OwnerReference reference, Bytes key, List<Txn.Compare> conditions) {
    KeyValue kv = get(key);
    if (kv == null) {
      conditions.add(
          new Txn.Compare(
              KeyRange.single(key),
              Txn.Compare.Target.VERSION,
              Txn.Compare.Relation.EQUAL,
              0,
              null));
      return Owner.DANGLING;
    }
    conditions.add(unchanged(kv));
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
    for (Task task : store.tasks().about(absent)) {
      if (Work.of(task).isOrphaning()) {
        orphaning.add(task.subject());
      }
    }
    owners.replaceAll(
        (reference, owner) ->
            owner == Owner.DANGLING && orphaning.contains(Edges.subject(reference.uid()))
                ? Owner.SOLID
                : owner);
  }

  boolean hasDependents(String uid) {
    return !store.tasks().keysWith(Edges.owner(uid), List.of(), Bytes.EMPTY, 1).isEmpty();
  }

  /** Whether any dependent waits for its own dependents: then there may be a circle. */
  private boolean hasWaitingDependent(String uid) {
    Bytes after = Bytes.EMPTY;
    while (true) {
      List<Bytes> page = store.tasks().keysWith(Edges.owner(uid), List.of(), after, PAGE);
      for (Bytes key : page) {
        Found dependent = read(key);
        if (dependent != null
            && dependent.info.deleting()
            && dependent.info.finalizers().contains(Finalizers.FOREGROUND)) {
          return true;
        }
      }
      if (page.size() < PAGE) {
        return false;
      }
      after = page.getLast();
    }
  }

  private @Nullable Outcome delete(
      Found object, Policy policy, boolean waiting, List<Txn.Compare> conditions) {
    if (hooks.seeDeletionsOf(object.resource, !object.namespace.isEmpty())) {
      return object.isHidden() ? handOver(object) : DONE;
    }
    if (dry) {
      WOULD.write(object.key(), "deleted", policy);
      return DONE;
    }
    List<String> finalizers = Judgement.finalizers(object.info.finalizers(), policy);
    Txn.Op change;
    if (finalizers.isEmpty()) {
      change = new Txn.Delete(KeyRange.single(object.key()), false);
    } else {
      ObjectEdit edit =
          ObjectEdit.of(object.kv.value()).finalizers(finalizers).markDeleting(clock.instant(), 0);
      if (waiting && policy == Policy.FOREGROUND && hasWaitingDependent(object.uid())) {
        edit = Edges.isCustom(object.resource) ? edit.unblockAllOwners() : edit.unblockOwners();
      }
      Bytes value = edited(object, edit);
      if (value == null) {
        return DONE;
      }
      change = put(object, value);
    }
    if (!write(conditions, change)) {
      return null;
    }
    counts.add(Counts.What.DELETED);
    DELETED.write(object.key(), owners(object.info));
    return DONE;
  }

  private static List<String> owners(ObjectInfo info) {
    return info.ownerReferences().stream()
        .limit(3)
        .map(owner -> owner.kind() + " " + owner.name() + " " + owner.uid())
        .toList();
  }

  private @Nullable Outcome handOver(Found object) {
    if (dry) {
      WOULD.write(object.key(), "left to kube-controller-manager", "admission");
      return DONE;
    }
    Bytes value =
        edited(object, ObjectEdit.of(object.kv.value()).withoutLabels(Set.of(Edges.HIDING_LABEL)));
    if (value == null) {
      return DONE;
    }
    if (!write(List.of(unchanged(object.kv)), put(object, value))) {
      return null;
    }
    counts.add(Counts.What.HANDED_OVER);
    HANDED_OVER.write(object.key());
    return DONE;
  }

  /**
   * Takes the references to an owner away from one of its dependents.
   *
   * @param uid as {@link Edges#subject} has it
   */
  Outcome free(Bytes key, String uid) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Found object = read(key);
      counts.add(Counts.What.LOOKED_AT);
      if (object == null) {
        return DONE;
      }
      Set<String> uids = new HashSet<>();
      for (OwnerReference owner : object.info.ownerReferences()) {
        if (Edges.subject(owner.uid()).equals(uid)) {
          uids.add(owner.uid());
        }
      }
      if (uids.isEmpty()) {
        return DONE;
      }
      Outcome outcome = free(object, uids, List.of(unchanged(object.kv)));
      if (outcome != null) {
        return outcome;
      }
    }
    return AGAIN;
  }

  private @Nullable Outcome free(Found object, Set<String> uids, List<Txn.Compare> conditions) {
    if (dry) {
      WOULD.write(object.key(), "freed", uids);
      return DONE;
    }
    Bytes value = edited(object, ObjectEdit.of(object.kv.value()).withoutOwners(uids));
    if (value == null) {
      return DONE;
    }
    if (!write(conditions, put(object, value))) {
      return null;
    }
    counts.add(Counts.What.FREED);
    FREED.write(object.key(), uids);
    return DONE;
  }

  /**
   * Takes a finalizer of garbage collection away from an owner whose dependents are dealt with; the
   * owner goes with the last one.
   *
   * @param uid as {@link Edges#subject} has it
   */
  Outcome release(Bytes key, String uid, String finalizer) {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Found owner = ending(key, uid, finalizer);
      if (owner == null) {
        return DONE;
      }
      if (dry) {
        WOULD.write(key, "released", finalizer);
        return DONE;
      }
      List<String> finalizers = new ArrayList<>(owner.info.finalizers());
      finalizers.removeAll(List.of(finalizer));
      Txn.Op change;
      if (finalizers.isEmpty() && owner.info.deletionGracePeriodSeconds() == 0) {
        change = new Txn.Delete(KeyRange.single(key), false);
      } else {
        Bytes value = edited(owner, ObjectEdit.of(owner.kv.value()).finalizers(finalizers));
        if (value == null) {
          return DONE;
        }
        change = put(owner, value);
      }
      if (write(List.of(unchanged(owner.kv)), change)) {
        counts.add(Counts.What.RELEASED);
        return DONE;
      }
    }
    return AGAIN;
  }

  /** A hidden object with this uid that is being deleted and has this finalizer; null if none. */
  @Nullable Found ending(Bytes key, String uid, String finalizer) {
    Found owner = read(key);
    return owner != null
            && owner.isHidden()
            && owner.uid().equals(uid)
            && owner.info.deleting()
            && owner.info.finalizers().contains(finalizer)
        ? owner
        : null;
  }

  /** Null if the object cannot be edited. */
  private @Nullable Bytes edited(Found object, ObjectEdit edit) {
    try {
      return edit.bytes();
    } catch (NotEditableException e) {
      counts.add(Counts.What.UNREADABLE);
      UNREADABLE.write(object.key(), e.getMessage());
      return null;
    }
  }

  private static Txn.Compare unchanged(KeyValue kv) {
    return new Txn.Compare(
        KeyRange.single(kv.key()),
        Txn.Compare.Target.MOD,
        Txn.Compare.Relation.EQUAL,
        kv.modRevision(),
        null);
  }

  private static Txn.Op put(Found object, Bytes value) {
    return new Txn.Put(object.key(), value, 0, false, false, true);
  }

  private boolean write(List<Txn.Compare> conditions, Txn.Op change) {
    Txn txn = new Txn(conditions, List.of(change), List.of());
    return store.txn(txn, new MemoryBudget(Long.MAX_VALUE).open()).join().succeeded();
  }
}
