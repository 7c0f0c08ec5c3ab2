package io.harikube.kubernetes;

import io.harikube.store.Bytes;
import io.harikube.store.KeyRange;
import org.jspecify.annotations.Nullable;

/**
 * The keys of an API server: all begin with its prefix, {@code /registry} by default.
 *
 * <p>Behind it come the resource and then the name, or the namespace and the name. A first segment
 * with a dot is a group, and the resource follows; services and endpoints share their first
 * segment; all others are one segment.
 */
public final class KeySpace {
  /** What stands in a text for bytes that are not UTF-8; no name has it. */
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

  /** The resource to which all keys of a range belong; null if it is not just one. */
  public @Nullable Resource resource(KeyRange range) {
    String text = text(range.start());
    int end = text == null ? -1 : endOfResource(text);
    if (text == null || end < 0) {
      return null;
    }
    Resource resource = new Resource(text.substring(prefix.length(), end));
    Bytes last = keys(resource).end();
    boolean inside = last == null || (range.end() != null && range.end().compareTo(last) <= 0);
    return inside ? resource : null;
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
    return text.indexOf(REPLACEMENT) < 0 ? text : null;
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
