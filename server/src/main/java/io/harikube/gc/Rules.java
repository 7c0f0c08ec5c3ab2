package io.harikube.gc;

import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.ObjectReader;
import io.harikube.kubernetes.Place;
import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.TaskRules;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Which changes make it necessary to look at an object: an owner goes or begins to go, an object
 * that is hidden gets another owner or becomes hidden, an owner has waited for an object.
 */
public final class Rules implements TaskRules {
  private static final String EVENTS = "events";

  /** Of so many it is known which they are: some 5 MB. */
  private static final int MOST_UNDECIDED = 100_000;

  private final KeySpace keys;

  /** Owners that wait for their dependents; there may be others in it that do not. */
  private final Set<String> awaited = ConcurrentHashMap.newKeySet();

  /**
   * Objects that nobody could judge because of one of their owners: losing that one may be what
   * they need. Hashes of their keys, as there may be many; an object more is looked at in vain.
   */
  private final Set<Long> undecided = ConcurrentHashMap.newKeySet();

  /** Whether there have been more of them than are known: then any object may be one. */
  private volatile boolean manyUndecided;

  private volatile boolean on;

  /** Whether the edges of all objects are known. */
  private volatile boolean complete;

  public Rules(KeySpace keys) {
    this.keys = keys;
  }

  /** From now on tasks are made; without that, never. */
  void begin() {
    on = true;
  }

  /** From now on the edges of all objects are known. */
  void complete() {
    complete = true;
  }

  /** Has changes looked at by which an owner with this uid need wait no longer. */
  void await(String uid) {
    awaited.add(uid);
  }

  void awaitNoMore(String uid) {
    awaited.remove(uid);
  }

  /** Has an object looked at when it loses an owner, as long as it is there. */
  void awaitLoss(Bytes key) {
    if (undecided.size() < MOST_UNDECIDED) {
      undecided.add(hash(key));
    } else {
      manyUndecided = true;
    }
  }

  private boolean isUndecided(Bytes key) {
    return manyUndecided || undecided.contains(hash(key));
  }

  private static long hash(Bytes key) {
    long hash = 0;
    for (byte one : key.array()) {
      hash = 0x100000001b3L * (hash ^ one);
    }
    return hash;
  }

  @Override
  public void put(
      Bytes key, Map<AttributeName, String> before, Map<AttributeName, String> after, Sink sink) {
    if (!on) {
      return;
    }
    wake(before, after, sink);
    if (hasNewOwner(before, after) || (hasLostOwner(before, after) && isUndecided(key))) {
      sink.add(new Work(Work.Kind.LOOK, true).task("", key));
    }
    String ended = before.get(Edges.ENDING);
    String ending = after.get(Edges.ENDING);
    if (ending == null) {
      if (ended != null) {
        ended(key, Edges.Ending.of(ended), sink);
      }
    } else if (!ending.equals(ended)) {
      end(key, Edges.Ending.of(ending), sink);
    }
  }

  /** Whether a hidden object has an owner less, and has others. */
  private static boolean hasLostOwner(
      Map<AttributeName, String> before, Map<AttributeName, String> after) {
    return after.entrySet().stream().anyMatch(edge -> isOfHidden(edge.getKey(), edge.getValue()))
        && before.keySet().stream()
            .anyMatch(name -> Edges.ownerOf(name) != null && !after.containsKey(name));
  }

  /**
   * Kube-controller-manager has set free all that it has seen of a visible owner. What has become
   * hidden meanwhile it may not have seen; when the owner goes at last, that is to stay.
   */
  private static void ended(Bytes key, Edges.Ending ended, Sink sink) {
    if (!ended.foreground() && !ended.hidden()) {
      Work work = new Work(Work.Kind.GONE_ORPHANING, false);
      sink.addIf(Edges.owner(ended.uid()), Edges.OF_HIDDEN, work.task(ended.uid(), key));
    }
  }

  /** Whether an object is hidden now and has an owner that it had not, or that was not ours. */
  private static boolean hasNewOwner(
      Map<AttributeName, String> before, Map<AttributeName, String> after) {
    return after.entrySet().stream()
        .anyMatch(
            edge ->
                isOfHidden(edge.getKey(), edge.getValue())
                    && !isOfHidden(edge.getKey(), before.get(edge.getKey())));
  }

  /** Whether an attribute is the edge of a hidden object to an owner. */
  private static boolean isOfHidden(AttributeName name, @Nullable String value) {
    return value != null && Edges.OF_HIDDEN.contains(value) && Edges.ownerOf(name) != null;
  }

  private void end(Bytes key, Edges.Ending ending, Sink sink) {
    if (ending.foreground()) {
      if (ending.hidden()) {
        sink.add(new Work(Work.Kind.FOREGROUND, true).task(ending.uid(), key));
      }
      return;
    }
    Work work = new Work(Work.Kind.ORPHAN, ending.hidden());
    if (ending.hidden() || !complete) {
      sink.add(work.task(ending.uid(), key));
    } else {
      sink.addIf(Edges.owner(ending.uid()), Edges.OF_HIDDEN, work.task(ending.uid(), key));
    }
  }

  @Override
  public boolean wantsDeleted(Bytes key, boolean watched) {
    return on
        && (watched || !complete)
        && keys.place(key) instanceof Place.Objects(var resource, var _)
        && !resource.path().equals(EVENTS);
  }

  @Override
  public void deleted(Bytes key, Bytes value, Map<AttributeName, String> before, Sink sink) {
    wake(before, Map.of(), sink);
    undecided.remove(hash(key));
    if (!(keys.place(key) instanceof Place.Objects(var resource, var _))
        || !(ObjectReader.read(value, null) instanceof ObjectInfo info)
        || info.uid().isEmpty()) {
      return;
    }
    String uid = Edges.subject(info.uid());
    String ending = before.get(Edges.ENDING);
    boolean orphaning = ending != null && !Edges.Ending.of(ending).foreground();
    boolean hidden = Edges.isHiddenBy(resource, before);
    Work work = new Work(orphaning ? Work.Kind.GONE_ORPHANING : Work.Kind.GONE, hidden);
    if (complete) {
      sink.addIf(Edges.owner(uid), hidden ? List.of() : Edges.OF_HIDDEN, work.task(uid, key));
    } else {
      sink.add(work.task(uid, key));
    }
  }

  private void wake(
      Map<AttributeName, String> before, Map<AttributeName, String> after, Sink sink) {
    if (awaited.isEmpty()) {
      return;
    }
    before.forEach(
        (name, value) -> {
          if (isBlocking(value) && !isBlocking(after.get(name))) {
            String uid = Edges.ownerOf(name);
            if (uid != null && awaited.contains(uid)) {
              sink.wake(uid);
            }
          }
        });
  }

  private static boolean isBlocking(@Nullable String value) {
    return value != null && Edges.OF_BLOCKING.contains(value);
  }
}
