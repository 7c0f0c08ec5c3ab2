package io.harikube.kubernetes;

import io.harikube.kubernetes.AdmissionReader.Form;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.watch.WatchStream;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Knows whose deletions an admission webhook or policy may look at, by following their
 * configurations in the store: up to the last moment, as API servers do.
 *
 * <p>It errs to one side only. A configuration that cannot be understood looks at everything. So
 * may all of what a rule speaks of, whatever selectors and conditions there are; and a policy
 * counts without its bindings, which can only narrow it. Configurations in files of an API server
 * are not known here.
 *
 * <p>Safe for many threads.
 */
public final class AdmissionHooks implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(AdmissionHooks.class);

  private final Configurations configurations;
  private final Follower follower;

  private AdmissionHooks(Configurations configurations, Follower follower) {
    this.configurations = configurations;
    this.follower = follower;
  }

  /**
   * Learns the configurations that there are, and follows on a thread of its own.
   *
   * @throws StoreException if they cannot be read
   */
  public static AdmissionHooks follow(Store store, Supplier<WatchStream> watches, KeySpace keys) {
    Configurations configurations = new Configurations(keys);
    return new AdmissionHooks(
        configurations,
        Follower.follow(
            "admission webhooks and policies",
            store,
            watches,
            Arrays.stream(Form.values()).map(form -> keys.keys(form.resource())).toList(),
            configurations));
  }

  /**
   * Whether an admission webhook or policy may look at deletions of objects of a resource. Costs a
   * look into a map.
   *
   * @param namespaced whether the objects are in namespaces
   * @throws StoreException if that is not known just now: {@code UNAVAILABLE}, for as long as it
   *     takes to read all configurations again
   */
  public boolean seeDeletionsOf(Resource resource, boolean namespaced) {
    if (!follower.isFollowing()) {
      throw new StoreException(
          StoreException.Reason.UNAVAILABLE, "admission webhooks and policies are not known now");
    }
    return configurations.rules.see(new Objects(resource, namespaced));
  }

  /** How many streams of watches are open: they are nobody's client. */
  public int streams() {
    return follower.streams();
  }

  /** How many watches these have. */
  public int watches() {
    return follower.watches();
  }

  @Override
  public void close() {
    follower.close();
  }

  /** What is asked for. */
  private record Objects(Resource resource, boolean namespaced) {}

  /** The rules of all configurations, and what has been answered by them. */
  private record Rules(Set<AdmissionRule> all, Map<Objects, Boolean> answers) {
    static Rules of(Collection<List<AdmissionRule>> configurations) {
      Set<AdmissionRule> all = new HashSet<>();
      configurations.forEach(all::addAll);
      return new Rules(Set.copyOf(all), new ConcurrentHashMap<>());
    }

    boolean see(Objects objects) {
      Boolean answer = answers.get(objects);
      if (answer == null) {
        answer = AdmissionRule.anySees(all, objects.resource, objects.namespaced);
        answers.put(objects, answer);
      }
      return answer;
    }
  }

  /** What is in the store. */
  private static final class Configurations implements Follower.Listener {
    private final KeySpace keys;

    /** By key. Only the follower looks here. */
    private final Map<Bytes, List<AdmissionRule>> configurations = new HashMap<>();

    private volatile Rules rules = Rules.of(List.of());

    Configurations(KeySpace keys) {
      this.keys = keys;
    }

    @Override
    public void found(KeyValue kv) {
      configurations.put(kv.key(), read(kv.key(), kv.value()));
    }

    @Override
    public void foundAll(Set<Bytes> found) {
      configurations.keySet().retainAll(found);
      publish();
    }

    @Override
    public void changed(Event event) {
      if (event.isDelete()) {
        configurations.remove(event.kv().key());
      } else {
        found(event.kv());
      }
      publish();
    }

    private void publish() {
      Rules now = Rules.of(configurations.values());
      // What else is in configurations changes more often, and makes no answer wrong.
      if (!now.all.equals(rules.all)) {
        rules = now;
      }
    }

    private List<AdmissionRule> read(Bytes key, Bytes value) {
      for (Form form : Form.values()) {
        if (keys.keys(form.resource()).contains(key)) {
          List<AdmissionRule> read = AdmissionReader.read(form, value);
          if (read != null) {
            return read;
          }
        }
      }
      LOG.warn(
          "{}: cannot be understood, so all deletions of garbage are left to"
              + " kube-controller-manager",
          key);
      return List.of(AdmissionRule.ALL);
    }
  }
}
