package io.harikube.gc;

import io.harikube.gc.Objects.Found;
import io.harikube.kubernetes.Edges;
import io.harikube.kubernetes.KeySpace;
import io.harikube.kubernetes.ObjectInfo;
import io.harikube.kubernetes.ObjectReader;
import io.harikube.kubernetes.Place;
import io.harikube.store.Filter;
import io.harikube.store.KeyValue;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.Task;
import io.harikube.store.TaskRules;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at what was there before anybody collected. Owners whose deletion waits for a collector are
 * dealt with: that is what their users asked for. What has lost its owners is counted and kept, as
 * they may have been meant to leave it; unless somebody has it adopted.
 */
final class FirstLook {
  private static final Logger LOG = LoggerFactory.getLogger(FirstLook.class);
  private static final int PART_BYTES = 1 << 20;

  private final Store store;
  private final KeySpace keys;
  private final Judge judge;
  private final Rules rules;
  private final BooleanSupplier closed;

  private long hidden;
  private long dangling;
  private String example = "";

  FirstLook(Store store, KeySpace keys, Judge judge, Rules rules, BooleanSupplier closed) {
    this.store = store;
    this.keys = keys;
    this.judge = judge;
    this.rules = rules;
    this.closed = closed;
  }

  void run(boolean adopt) {
    RangeQuery hiding =
        RangeQuery.of(keys.all()).filtered(new Filter(List.of(Edges.hidingRequirement())));
    store.stream(
        hiding,
        PART_BYTES,
        part -> {
          if (closed.getAsBoolean()) {
            throw new CancellationException("the collector is being closed");
          }
          List<Task> tasks = new ArrayList<>();
          part.kvs().forEach(kv -> look(kv, adopt, tasks));
          if (!tasks.isEmpty()) {
            store.tasks().add(tasks).join();
          }
        });
    if (dangling > 0) {
      LOG.warn(
          "of {} objects that are hidden from kube-controller-manager {} had lost an owner before"
              + " garbage was collected here, {} among them: {}",
          hidden,
          dangling,
          example,
          adopt
              ? "what Kubernetes would delete of them is deleted"
              : "they stay; start once with --gc-adopt to have deleted what Kubernetes would"
                  + " delete");
    }
  }

  private void look(KeyValue kv, boolean adopt, List<Task> tasks) {
    if (!(keys.place(kv.key()) instanceof Place.Objects(var resource, var namespace))
        || !(ObjectReader.read(kv.value(), null) instanceof ObjectInfo info)
        || !Edges.isHidden(resource, info.labels())) {
      return;
    }
    hidden++;
    rules.put(kv.key(), Map.of(), Edges.ending(resource, info), new Sink(tasks));
    if (info.ownerReferences().isEmpty() || info.deleting()) {
      return;
    }
    if (judge.isDangling(new Found(kv, resource, namespace, info))) {
      dangling++;
      example = kv.key().toString();
      if (adopt) {
        tasks.add(new Work(Work.Kind.LOOK, true).task("", kv.key()));
      }
    }
  }

  /** Of the rules for an object that begins to be deleted. */
  private record Sink(List<Task> tasks) implements TaskRules.Sink {
    @Override
    public void add(Task task) {
      tasks.add(task);
    }

    @Override
    public void addIf(io.harikube.store.AttributeName name, List<String> values, Task task) {
      tasks.add(task);
    }

    @Override
    public void wake(String subject) {}
  }

  /** How many hidden objects had lost an owner. */
  long dangling() {
    return dangling;
  }
}
