package io.harikube.gc;

import io.harikube.gc.Judgement.Policy;
import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.Edges.Finalizers;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.NotEditableException;
import io.harikube.kubernetes.ObjectEdit;
import io.harikube.kubernetes.ObjectInfo;
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
import io.harikube.store.Txn;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * The objects in the store: reads one, and writes what has been found to be right for it if nothing
 * has changed meanwhile on which that depends. Safe for many threads.
 */
final class Objects {
  /** Whoever changes an object so often meanwhile has it looked at later. */
  static final int ATTEMPTS = 20;

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
  private final DeletionHooks hooks;
  private final InstantSource clock;
  private final Counts counts;
  private final boolean dry;

  Objects(
      Store store,
      KeySpace keys,
      DeletionHooks hooks,
      InstantSource clock,
      Counts counts,
      boolean dry) {
    this.store = store;
    this.keys = keys;
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

  @Nullable KeyValue get(Bytes key) {
    RangeQuery query = RangeQuery.of(KeyRange.single(key));
    MemoryBudget.Share share = new MemoryBudget(Long.MAX_VALUE).open();
    OpResult.Range found = store.get(query, share).join();
    if (found == null) {
      found = store.range(query, share);
    }
    return found.kvs().isEmpty() ? null : found.kvs().getFirst();
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

  /**
   * Deletes an object as the API server does that is asked to by Kubernetes' collector.
   *
   * @param waiting whether an owner waits for it
   * @param conditions what the decision depends on
   * @return null if something of that has changed meanwhile
   */
  @Nullable Outcome delete(
      Found object, Policy policy, boolean waiting, List<Txn.Compare> conditions) {
    if (hooks.seeDeletionsOf(object.resource, !object.namespace.isEmpty())) {
      return object.isHidden() ? handOver(object) : Outcome.DONE;
    }
    if (dry) {
      WOULD.write(object.key(), "deleted", policy);
      return Outcome.DONE;
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
        return Outcome.DONE;
      }
      change = put(object, value);
    }
    if (!write(conditions, change)) {
      return null;
    }
    counts.add(Counts.What.DELETED);
    DELETED.write(object.key(), owners(object.info));
    return Outcome.DONE;
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
      return Outcome.DONE;
    }
    Bytes value =
        edited(object, ObjectEdit.of(object.kv.value()).withoutLabels(Set.of(Edges.HIDING_LABEL)));
    if (value == null) {
      return Outcome.DONE;
    }
    if (!write(List.of(unchanged(object.kv)), put(object, value))) {
      return null;
    }
    counts.add(Counts.What.HANDED_OVER);
    HANDED_OVER.write(object.key());
    return Outcome.DONE;
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
        return Outcome.DONE;
      }
      Set<String> uids = new HashSet<>();
      for (OwnerReference owner : object.info.ownerReferences()) {
        if (Edges.subject(owner.uid()).equals(uid)) {
          uids.add(owner.uid());
        }
      }
      if (uids.isEmpty()) {
        return Outcome.DONE;
      }
      Outcome outcome = free(object, uids, List.of(unchanged(object.kv)));
      if (outcome != null) {
        return outcome;
      }
    }
    return Outcome.AGAIN;
  }

  /**
   * Takes references away.
   *
   * @param conditions what the decision depends on
   * @return null if something of that has changed meanwhile
   */
  @Nullable Outcome free(Found object, Set<String> uids, List<Txn.Compare> conditions) {
    if (dry) {
      WOULD.write(object.key(), "freed", uids);
      return Outcome.DONE;
    }
    Bytes value = edited(object, ObjectEdit.of(object.kv.value()).withoutOwners(uids));
    if (value == null) {
      return Outcome.DONE;
    }
    if (!write(conditions, put(object, value))) {
      return null;
    }
    counts.add(Counts.What.FREED);
    FREED.write(object.key(), uids);
    return Outcome.DONE;
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
        return Outcome.DONE;
      }
      if (dry) {
        WOULD.write(key, "released", finalizer);
        return Outcome.DONE;
      }
      List<String> finalizers = new ArrayList<>(owner.info.finalizers());
      finalizers.removeAll(List.of(finalizer));
      Txn.Op change;
      if (finalizers.isEmpty() && owner.info.deletionGracePeriodSeconds() == 0) {
        change = new Txn.Delete(KeyRange.single(key), false);
      } else {
        Bytes value = edited(owner, ObjectEdit.of(owner.kv.value()).finalizers(finalizers));
        if (value == null) {
          return Outcome.DONE;
        }
        change = put(owner, value);
      }
      if (write(List.of(unchanged(owner.kv)), change)) {
        counts.add(Counts.What.RELEASED);
        return Outcome.DONE;
      }
    }
    return Outcome.AGAIN;
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

  /**
   * Whether it is there, whatever has been written to it. Enough for an owner that holds its
   * dependents: who begins to delete it has them looked at again.
   */
  static Txn.Compare sameObject(KeyValue kv) {
    return Txn.Compare.equal(kv.key(), Txn.Compare.Target.CREATE, kv.createRevision());
  }

  static Txn.Compare unchanged(KeyValue kv) {
    return Txn.Compare.equal(kv.key(), Txn.Compare.Target.MOD, kv.modRevision());
  }

  private static Txn.Op put(Found object, Bytes value) {
    return new Txn.Put(object.key(), value, 0, false, false, true);
  }

  private boolean write(List<Txn.Compare> conditions, Txn.Op change) {
    Txn txn = new Txn(conditions, List.of(change), List.of());
    return store.txn(txn, new MemoryBudget(Long.MAX_VALUE).open()).join().succeeded();
  }
}
