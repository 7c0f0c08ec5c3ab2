package io.harikube.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;

/**
 * Clients at work while something goes wrong: writers that create, update and delete, and remember
 * what was acknowledged; and informers, whose view has to be that of a list in the end.
 */
final class Load implements AutoCloseable {
  private static final int WRITERS = 4;
  private static final AtomicLong LOADS = new AtomicLong();
  private static final String VALUE = "value";
  private static final String GONE = "gone";
  private static final Duration TO_SEE = Duration.ofMinutes(2);

  private final KubernetesClient client;
  // Of its own: that of one before may be on its way out.
  private final String namespace = "load-" + LOADS.incrementAndGet();
  private final List<SharedIndexInformer<ConfigMap>> informers;
  private final List<Thread> writers;
  // What an object must be: a value, or gone. What is not known, as an answer failed to come, is
  // not in it.
  private final Map<String, String> acknowledged = new ConcurrentHashMap<>();
  private final AtomicLong writes = new AtomicLong();
  private final AtomicLong failures = new AtomicLong();
  private final Collection<String> wrong = new ConcurrentLinkedQueue<>();
  private volatile boolean ended;

  Load(KubernetesClient client) {
    this.client = client;
    client
        .resource(
            new NamespaceBuilder().withNewMetadata().withName(namespace).endMetadata().build())
        .serverSideApply();
    informers =
        List.of(
            client.configMaps().inNamespace(namespace).withLabel("load").inform(),
            client.configMaps().inNamespace(namespace).withLabel("load", "even").inform());
    writers =
        IntStream.range(0, WRITERS)
            .mapToObj(each -> Thread.ofPlatform().name("writer " + each).start(() -> write(each)))
            .toList();
  }

  private void write(int writer) {
    long last = 0;
    for (int i = 0; !ended; i++) {
      String name = "w" + writer + "-" + i % 200;
      try {
        if (i >= 200 && i % 5 == 0) {
          acknowledged.remove(name);
          client.configMaps().inNamespace(namespace).withName(name).delete();
          acknowledged.put(name, GONE);
        } else {
          String value = writer + "/" + i;
          ConfigMap wanted =
              new ConfigMapBuilder()
                  .withNewMetadata()
                  .withNamespace(namespace)
                  .withName(name)
                  .addToLabels("load", i % 2 == 0 ? "even" : "odd")
                  .endMetadata()
                  .addToData(VALUE, value)
                  .build();
          acknowledged.remove(name);
          long revision =
              Long.parseLong(
                  client
                      .resource(wanted)
                      .forceConflicts()
                      .serverSideApply()
                      .getMetadata()
                      .getResourceVersion());
          acknowledged.put(name, value);
          if (revision <= last) {
            wrong.add("revision " + revision + " was given out after " + last);
          }
          last = revision;
        }
        writes.incrementAndGet();
      } catch (KubernetesClientException e) {
        failures.incrementAndGet();
        LockSupport.parkNanos(
            Duration.ofMillis(50).toNanos()); // Who is refused asks again a little later.
      }
    }
  }

  /** Waits until so many more writes were acknowledged. */
  void goesOn(int more, Duration atMost) {
    long before = writes.get();
    Await.until(more + " more writes", atMost, () -> writes.get() >= before + more);
  }

  /**
   * Ends the writers, and compares what was acknowledged, what a list has, and what the informers
   * have.
   */
  void check() {
    end();
    assertThat(wrong).isEmpty();
    Map<String, String> listed =
        contents(client.configMaps().inNamespace(namespace).withLabel("load").list().getItems());
    acknowledged.forEach(
        (name, value) ->
            assertThat(listed.getOrDefault(name, GONE))
                .as(name + ", acknowledged; " + this)
                .isEqualTo(value));
    Map<String, String> even =
        contents(
            client.configMaps().inNamespace(namespace).withLabel("load", "even").list().getItems());
    Await.until(
        "the informer has what the list has", TO_SEE, () -> seen(informers.get(0)).equals(listed));
    Await.until(
        "the informer with a selector has what the list has",
        TO_SEE,
        () -> seen(informers.get(1)).equals(even));
  }

  private static Map<String, String> seen(SharedIndexInformer<ConfigMap> informer) {
    return contents(informer.getStore().list());
  }

  private static Map<String, String> contents(List<ConfigMap> objects) {
    Map<String, String> contents = new TreeMap<>();
    for (ConfigMap each : objects) {
      contents.put(each.getMetadata().getName(), Objects.requireNonNull(each.getData().get(VALUE)));
    }
    return contents;
  }

  private void end() {
    ended = true;
    for (Thread writer : writers) {
      try {
        writer.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  @Override
  public String toString() {
    return writes + " writes were acknowledged, " + failures + " failed";
  }

  @Override
  public void close() {
    end();
    informers.forEach(SharedIndexInformer::close);
    client.namespaces().withName(namespace).delete();
  }
}
