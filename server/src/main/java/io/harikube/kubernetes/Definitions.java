package io.harikube.kubernetes;

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
  private final Thread thread =
      Thread.ofPlatform().daemon().name("definitions").unstarted(this::loop);
  private volatile boolean closed;
  private volatile int streams;

  private Definitions(Store store, Supplier<WatchStream> watches, KubernetesSelectors selectors) {
    this.store = store;
    this.watches = watches;
    this.selectors = selectors;
    this.range = selectors.keys().keys(Resource.CUSTOM_RESOURCE_DEFINITIONS);
  }

  /** Begins to follow, on a thread of its own. */
  public static Definitions follow(
      Store store, Supplier<WatchStream> watches, KubernetesSelectors selectors) {
    Definitions definitions = new Definitions(store, watches, selectors);
    definitions.thread.start();
    return definitions;
  }

  private void loop() {
    try {
      while (!closed) {
        try {
          follow(list());
        } catch (StoreException | CompletionException | IllegalStateException e) {
          if (!closed) {
            LOG.warn("custom resource definitions are read again: {}", e.getMessage());
          }
        }
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
            Resource resource = resource(kv);
            if (resource != null) {
              found.add(resource);
              learn(resource, DefinitionReader.read(resource, kv.value()));
            }
          }
        });
    for (Resource resource : selectors.defined()) {
      if (!found.contains(resource)) {
        learn(resource, null);
      }
    }
    return revision[0];
  }

  private void follow(long revision) throws InterruptedException {
    try (WatchStream stream = watches.get()) {
      streams = 1;
      stream.create(new WatchRequest(0, range, revision + 1, false, false, false, false, false));
      while (true) {
        WatchMessage message = stream.take();
        if (message instanceof WatchMessage.Events events) {
          events
              .events()
              .forEach(
                  event -> {
                    Resource resource = resource(event.kv());
                    if (resource != null) {
                      learn(
                          resource,
                          event.isDelete()
                              ? null
                              : DefinitionReader.read(resource, event.kv().value()));
                    }
                  });
        } else if (message instanceof WatchMessage.Canceled) {
          return;
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

  private @Nullable Resource resource(KeyValue definition) {
    ObjectKey key = selectors.keys().parse(definition.key());
    return key == null ? null : CustomResources.defined(key);
  }

  private void learn(Resource resource, @Nullable CustomResource definition) {
    CustomResource before = selectors.definition(resource);
    if (Objects.equals(before, definition)) {
      return;
    }
    List<String> old = KubernetesSelectors.addedNames(before);
    if (!old.isEmpty()) {
      store.forget(old).join();
    }
    selectors.define(resource, definition);
    List<String> names =
        KubernetesSelectors.addedNames(definition).stream()
            .filter(name -> !store.isGathered(name))
            .toList();
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
