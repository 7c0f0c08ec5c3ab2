package io.harikube.kubernetes;

import static java.util.stream.Collectors.joining;

import io.harikube.kubernetes.ObjectEdit.Deletion;
import io.harikube.kubernetes.ObjectEdit.Unblock;
import io.harikube.store.Bytes;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.io.JsonStringEncoder;

/**
 * Finds where an object in JSON changes. The object has been read before: it is well-formed, and
 * the fields that {@link JsonObject} knows are of the types that it wants.
 */
final class JsonEdit {
  private final byte[] bytes;
  private final ObjectEdit edit;
  private final Splices splices;

  /** Members of metadata that go. */
  private final Set<String> gone = new HashSet<>();

  /** Members of metadata that get another value, in JSON. */
  private final NavigableMap<String, String> written = new TreeMap<>();

  JsonEdit(byte[] bytes, ObjectEdit edit, Splices splices) {
    this.bytes = bytes;
    this.edit = edit;
    this.splices = splices;
  }

  /**
   * Where a member of an object is, or an element of a list, which has no name.
   *
   * @param start of the name; of the value if there is no name
   * @param end behind the value
   */
  private record Span(String name, int start, int value, int end) {}

  void run() {
    Span metadata = members(0, bytes.length).get("metadata");
    if (metadata == null || isNull(metadata)) {
      throw new Unreadable("no metadata");
    }
    Map<String, Span> members = members(metadata);
    owners(members.get("ownerReferences"));
    labels(members.get("labels"));
    finalizers(members.get("finalizers"));
    if (edit.deletion != null) {
      delete(members, edit.deletion);
    }
    List<Span> kept = cut(List.copyOf(members.values()), member -> gone.contains(member.name));
    write(metadata, kept, written);
  }

  private void owners(@Nullable Span list) {
    boolean untouched = edit.goneOwners.isEmpty() && edit.unblock == Unblock.NONE;
    if (untouched || list == null) {
      return;
    }
    Map<Span, Map<String, Span>> owners = new LinkedHashMap<>();
    elements(list).forEach(owner -> owners.put(owner, members(owner)));
    Set<Span> goneOwners = new HashSet<>();
    owners.forEach(
        (owner, members) -> {
          if (edit.goneOwners.contains(text(members.get("uid")))) {
            goneOwners.add(owner);
          }
        });
    if (!owners.isEmpty() && goneOwners.size() == owners.size()) {
      gone.add("ownerReferences");
      return;
    }
    for (Span owner : cut(List.copyOf(owners.keySet()), goneOwners::contains)) {
      unblock(owner, Objects.requireNonNull(owners.get(owner)));
    }
  }

  private void unblock(Span owner, Map<String, Span> members) {
    Span block = members.get("blockOwnerDeletion");
    byte first = block == null ? (byte) 'n' : bytes[block.value];
    boolean changes =
        switch (edit.unblock) {
          case NONE -> false;
          case BLOCKING -> first == 't';
          case ALL -> first != 'f';
        };
    if (changes) {
      if (isNull(owner)) {
        throw new Unreadable("an owner reference that is null");
      }
      NavigableMap<String, String> blocks = new TreeMap<>(Map.of("blockOwnerDeletion", "false"));
      write(owner, List.copyOf(members.values()), blocks);
    }
  }

  private void labels(@Nullable Span map) {
    if (map == null || edit.goneLabels.isEmpty()) {
      return;
    }
    Map<String, Span> labels = members(map);
    if (!labels.isEmpty() && edit.goneLabels.containsAll(labels.keySet())) {
      gone.add("labels");
    } else {
      cut(List.copyOf(labels.values()), label -> edit.goneLabels.contains(label.name));
    }
  }

  private void finalizers(@Nullable Span list) {
    List<String> finalizers = edit.finalizers;
    if (finalizers == null) {
      return;
    }
    List<String> before =
        list == null ? List.of() : elements(list).stream().map(this::text).toList();
    if (before.equals(finalizers)) {
      return;
    }
    if (finalizers.isEmpty()) {
      gone.add("finalizers");
    } else {
      written.put(
          "finalizers", finalizers.stream().map(JsonEdit::quoted).collect(joining(",", "[", "]")));
    }
  }

  private void delete(Map<String, Span> members, Deletion deletion) {
    Instant before = instant(members.get("deletionTimestamp"));
    if (before == null) {
      long generation = number(members.get("generation"), 0);
      if (generation > 0) {
        written.put("generation", Long.toString(Math.addExact(generation, 1)));
      }
    }
    if (before == null || before.isAfter(deletion.at())) {
      Instant at = deletion.at().truncatedTo(ChronoUnit.SECONDS);
      written.put("deletionTimestamp", quoted(DateTimeFormatter.ISO_INSTANT.format(at)));
    }
    long seconds = deletion.gracePeriodSeconds();
    if (number(members.get("deletionGracePeriodSeconds"), -1) != seconds) {
      written.put("deletionGracePeriodSeconds", Long.toString(seconds));
    }
  }

  /** Takes elements away, each with one comma beside it, and answers those that stay. */
  private List<Span> cut(List<Span> all, Predicate<Span> goes) {
    List<Span> kept = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      Span span = all.get(i);
      if (!goes.test(span)) {
        kept.add(span);
      } else if (!kept.isEmpty()) {
        splices.cut(all.get(i - 1).end, span.end);
      } else {
        splices.cut(span.start, i + 1 < all.size() ? all.get(i + 1).start : span.end);
      }
    }
    return kept;
  }

  /**
   * Gives members of an object other values.
   *
   * @param kept the members that the object has and keeps
   */
  private void write(Span object, Collection<Span> kept, NavigableMap<String, String> values) {
    NavigableMap<String, String> missing = new TreeMap<>(values);
    for (Span member : kept) {
      String value = missing.remove(member.name);
      if (value != null) {
        splices.replace(member.value, member.end, Bytes.of(value));
      }
    }
    Span last = null;
    for (Span member : kept) {
      NavigableMap<String, String> before = missing.headMap(member.name, false);
      before.forEach(
          (name, value) -> splices.insert(member.start, Bytes.of(member(name, value) + ",")));
      before.clear();
      last = member;
    }
    int end = last == null ? object.value + 1 : last.end;
    String comma = last == null ? "" : ",";
    for (Map.Entry<String, String> member : missing.entrySet()) {
      splices.insert(end, Bytes.of(comma + member(member.getKey(), member.getValue())));
      comma = ",";
    }
  }

  private static String quoted(String text) {
    return '"' + new String(JsonStringEncoder.getInstance().quoteAsCharArray(text)) + '"';
  }

  private static String member(String name, String value) {
    return '"' + name + "\":" + value;
  }

  /** The members of an object by their names, in their order; none of null. */
  private Map<String, Span> members(Span object) {
    return members(object.value, object.end);
  }

  private Map<String, Span> members(int from, int to) {
    Map<String, Span> members = new LinkedHashMap<>();
    try (JsonParser parser = JsonObject.parser(bytes, from, to - from)) {
      parser.nextToken();
      for (String name = parser.nextName(); name != null; name = parser.nextName()) {
        int start = from + offset(parser.currentTokenLocation());
        parser.nextToken();
        if (members.put(name, value(parser, name, from, start)) != null) {
          throw new Unreadable("a name twice in an object");
        }
      }
    }
    return members;
  }

  /** The elements of a list; none of null. */
  private List<Span> elements(Span list) {
    List<Span> elements = new ArrayList<>();
    if (isNull(list)) {
      return elements;
    }
    try (JsonParser parser = JsonObject.parser(bytes, list.value, list.end - list.value)) {
      parser.nextToken();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        int start = list.value + offset(parser.currentTokenLocation());
        elements.add(value(parser, "", list.value, start));
      }
    }
    return elements;
  }

  private static Span value(JsonParser parser, String name, int from, int start) {
    int value = from + offset(parser.currentTokenLocation());
    parser.skipChildren();
    // A text is not read to its end unless somebody asks for it.
    parser.finishToken();
    return new Span(name, start, value, from + offset(parser.currentLocation()));
  }

  private static int offset(TokenStreamLocation location) {
    return Math.toIntExact(location.getByteOffset());
  }

  private boolean isNull(Span span) {
    return bytes[span.value] == 'n';
  }

  /** A text; that of null and of what is not there is empty. */
  private String text(@Nullable Span span) {
    if (span == null || isNull(span)) {
      return "";
    }
    try (JsonParser parser = JsonObject.parser(bytes, span.value, span.end - span.value)) {
      parser.nextToken();
      return Objects.requireNonNull(parser.getString());
    }
  }

  private long number(@Nullable Span span, long otherwise) {
    if (span == null || isNull(span)) {
      return otherwise;
    }
    int length = span.end - span.value;
    return Long.parseLong(new String(bytes, span.value, length, StandardCharsets.ISO_8859_1));
  }

  private @Nullable Instant instant(@Nullable Span span) {
    return span == null || isNull(span)
        ? null
        : DateTimeFormatter.ISO_OFFSET_DATE_TIME.parse(text(span), Instant::from);
  }
}
