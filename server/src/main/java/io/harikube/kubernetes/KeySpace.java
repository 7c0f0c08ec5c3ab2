package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import org.jspecify.annotations.Nullable;

/**
 * The keys of an API server: all begin with its prefix, {@code /registry} by default.
 *
 * <p>Behind it come the resource and then the name, or the namespace and the name. A first segment
 * with a dot is a group, and the resource follows; services and endpoints share their first
 * segment; all others are one segment. What has more segments than that is of an API server with a
 * longer prefix, and of its keys nothing is known: what looks like a resource may be a part of the
 * prefix, so that a range of one may be taken for one of the other, but never a key that is read
 * for one that is not.
 */
public final class KeySpace {
  private static final Place UNCLEAR = new Place.Unclear();
  private static final Place ELSEWHERE = new Place.Elsewhere();

  /** What stands in a text for bytes that are not UTF-8, and may also be meant. */
  private static final char REPLACEMENT = '\uFFFD';

  private final String prefix;
  private final Bytes prefixBytes;

  /**
   * @param prefix the API server's {@code --etcd-prefix}, with or without slashes around it
   */
  public KeySpace(String prefix) {
    String inner = prefix;
    while (inner.startsWith("/")) {
      inner = inner.substring(1);
    }
    while (inner.endsWith("/")) {
      inner = inner.substring(0, inner.length() - 1);
    }
    this.prefix = inner.isEmpty() ? "/" : "/" + inner + "/";
    this.prefixBytes = Bytes.of(this.prefix);
  }

  /** The object that a key names; null for a key that is none of an object. */
  public @Nullable ObjectKey parse(Bytes key) {
    String text = text(key);
    int end = text == null ? -1 : endOfResource(text);
    if (text == null || end < 0) {
      return null;
    }
    int slash = text.indexOf('/', end + 1);
    String namespace = slash < 0 ? "" : text.substring(end + 1, slash);
    String name = text.substring(slash < 0 ? end + 1 : slash + 1);
    if (name.isEmpty() || slash == end + 1 || name.indexOf('/') >= 0) {
      return null;
    }
    return new ObjectKey(new Resource(text.substring(prefix.length(), end)), namespace, name);
  }

  /** The key of an object: what {@link #parse} answers the object for. */
  public Bytes key(ObjectKey object) {
    String namespace = object.namespace().isEmpty() ? "" : object.namespace() + "/";
    return Bytes.of(prefix + object.resource().path() + "/" + namespace + object.name());
  }

  /** Where a key is. */
  public Place place(Bytes key) {
    if (!key.startsWith(prefixBytes)) {
      return ELSEWHERE;
    }
    ObjectKey object = parse(key);
    return object == null ? UNCLEAR : new Place.Objects(object.resource(), object.namespace());
  }

  /**
   * Where all keys of a range are. The API server asks for all keys of a resource, or of one in a
   * namespace, or for those behind a key.
   */
  public Place place(KeyRange range) {
    if (range.isSingle()) {
      return place(range.start());
    }
    String start = text(range.start());
    int end = start == null ? -1 : endOfResource(start);
    if (start == null || end < 0) {
      return UNCLEAR;
    }
    Resource resource = new Resource(start.substring(prefix.length(), end));
    int slash = start.indexOf('/', end + 1);
    if (slash >= 0 && start.indexOf('/', slash + 1) >= 0) {
      return UNCLEAR;
    }
    if (slash > end + 1) {
      String namespace = start.substring(end + 1, slash);
      if (isWithin(range, keys(resource, namespace))) {
        return new Place.Objects(resource, namespace);
      }
    }
    return isWithin(range, keys(resource)) ? new Place.Objects(resource, "") : UNCLEAR;
  }

  private static boolean isWithin(KeyRange range, KeyRange outer) {
    Bytes last = outer.end();
    return last == null || (range.end() != null && range.end().compareTo(last) <= 0);
  }

  /** All keys of the API server. */
  public KeyRange all() {
    return KeyRange.prefix(prefixBytes);
  }

  /** All keys of a resource. */
  public KeyRange keys(Resource resource) {
    return KeyRange.prefix(Bytes.of(prefix + resource.path() + "/"));
  }

  /** All keys of a resource in a namespace. */
  public KeyRange keys(Resource resource, String namespace) {
    return KeyRange.prefix(Bytes.of(prefix + resource.path() + "/" + namespace + "/"));
  }

  /** A key below the prefix as text; null for another one, or one that is not UTF-8. */
  private @Nullable String text(Bytes key) {
    if (!key.startsWith(prefixBytes)) {
      return null;
    }
    String text = key.toString();
    return text.indexOf(REPLACEMENT) < 0 || Bytes.of(text).equals(key) ? text : null;
  }

  /** Where the slash behind the resource is; negative if there is no resource. */
  private int endOfResource(String text) {
    int start = prefix.length();
    int end = text.indexOf('/', start);
    if (end <= start) {
      return -1;
    }
    int dot = text.indexOf('.', start);
    boolean group = dot >= 0 && dot < end;
    boolean services = end - start == 8 && text.startsWith("services", start);
    if (!group && !services) {
      return end;
    }
    int second = text.indexOf('/', end + 1);
    if (second <= end + 1) {
      return -1;
    }
    return group || isService(text.substring(end + 1, second)) ? second : -1;
  }

  private static boolean isService(String segment) {
    return segment.equals("specs") || segment.equals("endpoints");
  }
}
