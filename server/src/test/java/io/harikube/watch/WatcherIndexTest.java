package io.harikube.watch;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.AttributeName;
import io.harikube.store.Attributes;
import io.harikube.store.Bytes;
import io.harikube.store.Filter;
import io.harikube.store.Filter.Operator;
import io.harikube.store.Filter.Requirement;
import io.harikube.store.KeyRange;
import io.harikube.testing.TestAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Finding the watches of a key: right, and without looking at the others. */
class WatcherIndexTest {
  private final HubFixture fixture = new HubFixture();
  private final HubStream stream = fixture.hub.openStream();
  private final WatcherIndex index = new WatcherIndex();

  @Test
  void watchesOfOtherKeysCostNothing() {
    long alone = workFor("/registry/pods/ns-1/pod-1");
    for (int i = 0; i < 10_000; i++) {
      add(KeyRange.single(Bytes.of("/registry/pods/ns-%d/pod-%d".formatted(i % 100, 1_000 + i))));
      add(KeyRange.prefix(Bytes.of("/registry/cm/ns-%05d/".formatted(i))));
    }
    long ofOneLength = workFor("/registry/pods/ns-1/pod-1");
    assertThat(ofOneLength).isLessThanOrEqualTo(alone + 1);

    for (int i = 0; i < 10_000; i++) {
      String from = "/registry/pods/ns-2/pod-%05d".formatted(i);
      add(new KeyRange(Bytes.of(from), Bytes.of(from + "/z")));
    }
    assertThat(workFor("/registry/pods/ns-1/pod-1")).isLessThan(ofOneLength + 50);
    assertThat(workFor("/registry/pods/ns-3/pod-1")).isLessThan(ofOneLength + 50);
    assertThat(workFor("/registry/pods/ns-2/pod-05000/a")).isLessThan(ofOneLength + 100);
  }

  @Test
  void watchesOfOneRangeAreOneGroup() {
    for (int i = 0; i < 1_000; i++) {
      add(KeyRange.prefix(Bytes.of("/registry/pods/")));
    }
    assertThat(index.groups()).hasSize(1);
  }

  @Test
  void findsWhatContainsTheKey() {
    for (int seed = 0; seed < 200; seed++) {
      compareWithList(new Random(seed));
    }
  }

  private void compareWithList(Random random) {
    List<Watcher> all = new ArrayList<>();
    for (int step = 0; step < 300; step++) {
      if (all.isEmpty() || random.nextInt(3) > 0) {
        all.add(add(range(random)));
      } else {
        index.remove(all.remove(random.nextInt(all.size())));
      }
      Bytes key = Bytes.of(text(random));
      Set<Watcher> expected = new HashSet<>(all);
      expected.removeIf(watcher -> !watcher.request.range().contains(key));
      Set<Watcher> found = new HashSet<>();
      index.match(
          key,
          group -> group.watchers().forEach(watcher -> assertThat(found.add(watcher)).isTrue()));
      assertThat(found).isEqualTo(expected);
    }
    all.forEach(index::remove);
    assertThat(index.isEmpty()).isTrue();
    assertThat(index.groups()).isEmpty();
  }

  @Test
  void aWatchByAFieldThatIsReadNoMoreGetsAllEvents() {
    AttributeName name = AttributeName.added("c");
    FilteredWatchers watchers = new FilteredWatchers();
    Filter filter = new Filter(List.of(new Requirement(name, Operator.IN, List.of("1"), 0)));
    Watcher watcher =
        new Watcher(
            stream,
            1,
            new WatchRequest(
                0,
                KeyRange.prefix(Bytes.of("a")),
                0,
                false,
                false,
                false,
                false,
                false,
                new Selection(filter, TestAttributes::read)),
            1);
    watchers.add(watcher);
    Bytes key = Bytes.of("a/1");
    Attributes one = new Attributes(Map.of(name, "1"), Set.of(name));
    Attributes two = new Attributes(Map.of(name, "2"), Set.of(name));
    Attributes none = new Attributes(Map.of());
    assertThat(watchers.candidates(new Selection.Sides(key, one, null))).containsExactly(watcher);
    assertThat(watchers.candidates(new Selection.Sides(key, two, null))).isEmpty();
    assertThat(watchers.candidates(new Selection.Sides(key, none, null))).containsExactly(watcher);
    assertThat(new Selection.Sides(key, none, null).match(filter)).isTrue();
    watchers.remove(watcher);
    assertThat(watchers.candidates(new Selection.Sides(key, none, null))).isEmpty();
  }

  private static KeyRange range(Random random) {
    Bytes start = Bytes.of(text(random));
    Bytes end = Bytes.of(text(random));
    return switch (random.nextInt(4)) {
      case 0 -> KeyRange.single(start);
      case 1 -> KeyRange.prefix(start);
      case 2 -> new KeyRange(start, null);
      default -> start.compareTo(end) < 0 ? new KeyRange(start, end) : KeyRange.prefix(end);
    };
  }

  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    for (int i = random.nextInt(4); i > 0; i--) {
      text.append((char) ('a' + random.nextInt(3)));
    }
    return text.toString();
  }

  private Watcher add(KeyRange range) {
    Watcher watcher = new Watcher(stream, 1, HubFixture.range(range).build(), 1);
    index.add(watcher);
    return watcher;
  }

  private long workFor(String key) {
    long before = index.work();
    index.match(Bytes.of(key), _ -> {});
    return index.work() - before;
  }
}
