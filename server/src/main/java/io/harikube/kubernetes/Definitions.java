package io.harikube.kubernetes;

import io.harikube.store.AttributeName;
import io.harikube.store.Bytes;
import io.harikube.store.Event;
import io.harikube.store.KeyValue;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.watch.WatchStream;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows the CustomResourceDefinitions in the store, and has the store gather the fields that
 * selectors may ask for.
 *
 * <p>A definition that changes is first forgotten and then learnt: its attributes lose their names
 * before anything is read by the new definition, so that a filter never relies on what two
 * definitions have written.
 */
public final class Definitions implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Definitions.class);

  private final Follower follower;

  private Definitions(Follower follower) {
    this.follower = follower;
  }

  /**
   * Learns the definitions that there are, and follows on a thread of its own. To be called before
   * anything is written: the attributes of custom resources are read by what has been learnt.
   *
   * @throws StoreException if the definitions cannot be read
   */
  public static Definitions follow(
      Store store, Supplier<WatchStream> watches, KubernetesSelectors selectors) {
    return new Definitions(
        Follower.follow(
            "custom resource definitions",
            store,
            watches,
            List.of(selectors.keys().keys(Resource.CUSTOM_RESOURCE_DEFINITIONS)),
            new Learner(store, selectors)));
  }

  /** How many streams of watches are open, each with one watch: they are nobody's client. */
  public int streams() {
    return follower.streams();
  }

  @Override
  public void close() {
    follower.close();
  }

  /** Learns what it is told of. */
  private record Learner(Store store, KubernetesSelectors selectors) implements Follower.Listener {
    @Override
    public void found(KeyValue kv) {
      Resource resource = selectors.defined(kv.key());
      if (resource != null && !learn(resource, DefinitionReader.read(resource, kv.value()))) {
        // What was gathered may have been lost with commits of the database.
        gather(resource);
      }
    }

    @Override
    public void foundAll(Set<Bytes> keys) {
      Set<Resource> found = new HashSet<>();
      for (Bytes key : keys) {
        Resource resource = selectors.defined(key);
        if (resource != null) {
          found.add(resource);
        }
      }
      for (Resource resource : selectors.defined()) {
        if (!found.contains(resource)) {
          learn(resource, null);
        }
      }
      forgetStale();
    }

    /** Forgets attributes of a definition that was replaced while nobody looked. */
    private void forgetStale() {
      Set<AttributeName> stale = new HashSet<>(store.gathered());
      stale.removeIf(name -> !AttributeNames.isOfDefinition(name));
      for (Resource resource : selectors.defined()) {
        stale.removeAll(selectors.addedNames(resource));
      }
      if (!stale.isEmpty()) {
        store.forget(List.copyOf(stale)).join();
      }
    }

    @Override
    public void changed(Event event) {
      Resource resource = selectors.defined(event.kv().key());
      if (resource != null) {
        Bytes value = event.kv().value();
        learn(resource, event.isDelete() ? null : DefinitionReader.read(resource, value));
      }
    }

    @Override
    public void toldUpTo(long revision) {
      selectors.learnt(revision);
    }

    /** Answers whether objects are read in another way than by the definition that was known. */
    private boolean learn(Resource resource, @Nullable CustomResource definition) {
      CustomResource known = selectors.definition(resource);
      if (Objects.equals(known, definition)) {
        return false;
      }
      if (known != null && definition != null && known.readsLike(definition)) {
        selectors.define(resource, definition);
        return false;
      }
      Set<AttributeName> old = selectors.addedNames(resource);
      if (!old.isEmpty()) {
        store.forget(List.copyOf(old)).join();
      }
      selectors.define(resource, definition);
      gather(resource);
      return true;
    }

    /**
     * Has the store gather what it does not know yet of the names that were added for a resource.
     */
    private void gather(Resource resource) {
      Set<AttributeName> gathered = store.gathered();
      List<AttributeName> names =
          selectors.addedNames(resource).stream().filter(name -> !gathered.contains(name)).toList();
      if (!names.isEmpty()) {
        var _ =
            store
                .gather(selectors.keys().keys(resource), names)
                .whenComplete(
                    (_, failure) -> {
                      if (failure != null) {
                        LOG.warn("the fields of {} are not gathered", resource.path(), failure);
                      }
                    });
      }
    }
  }
}
