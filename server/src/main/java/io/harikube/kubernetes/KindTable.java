package io.harikube.kubernetes;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Kubernetes' own kinds, as {@code kinds.txt} has them. */
final class KindTable {
  /**
   * A line of it.
   *
   * @param versions those that any API server serves
   */
  record Row(GroupKind kind, Kind.Served where, Set<String> versions) {
    private static Row parse(String line) {
      String[] columns = line.split(" +", -1);
      String group = columns[0].equals("core") ? "" : columns[0];
      return new Row(
          new GroupKind(group, columns[1]),
          new Kind.Served(
              new Resource(columns[3]),
              columns[2].equals("Namespaced"),
              Deletion.valueOf(columns[4].toUpperCase(Locale.ROOT))),
          Arrays.stream(columns[5].split(",", -1))
              .map(Row::withoutNotes)
              .collect(Collectors.toUnmodifiableSet()));
    }

    private static String withoutNotes(String version) {
      return version.replaceFirst("[?@].*", "");
    }
  }

  private static final Map<GroupKind, Row> BY_KIND = new HashMap<>();
  private static final Map<Resource, Row> BY_RESOURCE = new HashMap<>();

  static {
    try (InputStream in = Objects.requireNonNull(KindTable.class.getResourceAsStream("kinds.txt"));
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      reader.lines().filter(line -> !line.startsWith("#")).map(Row::parse).forEach(KindTable::add);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private KindTable() {}

  private static void add(Row row) {
    BY_KIND.put(row.kind, row);
    // Events are at the same place in both of their groups.
    BY_RESOURCE.put(row.where.resource(), row);
  }

  static @Nullable Row of(GroupKind kind) {
    return BY_KIND.get(kind);
  }

  static @Nullable Row of(Resource resource) {
    return BY_RESOURCE.get(resource);
  }

  /** The groups in which a resource of Kubernetes is; none if it is not known. */
  static Set<String> groups(Resource resource) {
    return BY_KIND.values().stream()
        .filter(row -> row.where.resource().equals(resource))
        .map(row -> row.kind.group())
        .collect(Collectors.toUnmodifiableSet());
  }

  static Collection<Row> rows() {
    return BY_KIND.values();
  }
}
