package io.harikube.kubernetes;

import io.harikube.store.AttributeName;
import io.harikube.store.Event;
import io.harikube.store.KeyRange;
import io.harikube.store.KeyValue;
import io.harikube.store.RangeQuery;
import io.harikube.store.Store;
import io.harikube.store.StoreException;
import io.harikube.watch.WatchMessage;
import io.harikube.watch.WatchRequest;
import io.harikube.watch.WatchStream;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
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
  private static final long RETRY_MILLIS = 500;
  private static final int PART_BYTES = 1 << 20;

  private final Store store;
  private final Supplier<WatchStream> watches;
  private final KubernetesSelectors selectors;
  private final KeyRange range;
  private final Thread thread;
  private volatile boolean closed;
  private volatile int streams;

  private Definitions(Store store, Supplier<WatchStream> watches, KubernetesSelectors selectors) {
    this.store = store;
    this.watches = watches;
    this.selectors = selectors;
    this.range = selectors.keys().keys(Resource.CUSTOM_RESOURCE_DEFINITIONS);
    long revision = list();
    this.thread = Thread.ofPlatform().daemon().name("definitions").start(() -> loop(revision));
  }

  /**
   * Learns the definitions that there are, and follows on a thread of its own. To be called before
   * anything is written: the attributes of custom resources are read by what has been learnt.
   *
   * @throws StoreException if the definitions cannot be read
   */
  public static Definitions follow(
      Store store, Supplier<WatchStream> watches, KubernetesSelectors selectors) {
    return new Definitions(store, watches, selectors);
  }

  private void loop(long first) {
    long revision = first;
    try {
      while (!closed) {
        try {
          follow(revision < 0 ? list() : revision);
        } catch (StoreException | CompletionException | IllegalStateException e) {
          if (!closed) {
            LOG.warn("custom resource definitions are read again: {}", e.getMessage());
          }
        }
        // Never from where it began: an old definition is not to be learnt once more.
        revision = -1;
        TimeUnit.MILLISECONDS.sleep(RETRY_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Learns all definitions; answers the revision that they are of. */
  private long list() {
    long[] revision = {0};
    Set<Resource> found = new HashSet<>();
    store.stream(
        RangeQuery.of(range),
        PART_BYTES,
        part -> {
          revision[0] = revision[0] == 0 ? part.revision() : revision[0];
          for (KeyValue kv : part.kvs()) {
            Resource resource = selectors.defined(kv.key());
            if (resource != null) {
              found.add(resource);
              if (!learn(resource, DefinitionReader.read(resource, kv.value()))) {
                // What was gathered may have been lost with commits of the database.
                gather(resource);
              }
            }
          }
        });
    for (Resource resource : selectors.defined()) {
      if (!found.contains(resource)) {
        learn(resource, null);
      }
    }
    // Attributes of a definition that was replaced while nobody looked.
    Set<AttributeName> stale = new HashSet<>(store.gathered());
    for (Resource resource : selectors.defined()) {
      stale.removeAll(selectors.addedNames(resource));
    }
    if (!stale.isEmpty()) {
      store.forget(List.copyOf(stale)).join();
    }
    selectors.learnt(revision[0]);
    return revision[0];
  }

  private void follow(long revision) throws InterruptedException {
    try (WatchStream stream = watches.get()) {
      streams = 1;
      stream.create(new WatchRequest(0, range, revision + 1, false, false, false, true, false));
      while (true) {
        WatchMessage message = stream.take();
        switch (message) {
          case WatchMessage.Created _ -> {}
          case WatchMessage.Events events -> {
            events.events().forEach(this::learn);
            selectors.learnt(events.events().getLast().kv().modRevision());
          }
          case WatchMessage.Progress progress -> selectors.learnt(progress.revision());
          case WatchMessage.Canceled _ -> {
            return;
          }
        }
      }
    } finally {
      streams = 0;
    }
  }

  /** How many streams of watches are open, each with one watch: they are nobody's client. */
  public int streams() {
    return streams;
  }

  private void learn(Event event) {
    Resource resource = selectors.defined(event.kv().key());
    if (resource != null) {
      learn(
          resource, event.isDelete() ? null : DefinitionReader.read(resource, event.kv().value()));
    }
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

  /** Has the store gather what it does not know yet of the names that were added for a resource. */
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

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
