package io.harikube.kubernetes;

import java.util.Set;
import java.util.regex.Pattern;

/**
 * A field that a custom resource lets selectors ask for.
 *
 * @param path names joined by dots, without one in front: the label of the field
 * @param mayHaveDefault whether an object without it may have a value all the same, by a default in
 *     the schema
 */
public record SelectableField(String path, boolean mayHaveDefault) {
  private static final Set<String> OF_THE_OBJECT = Set.of("apiVersion", "kind", "metadata");
  private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*");

  /**
   * Whether the path is of plain names, so that it means the same everywhere, and of what each
   * object has for itself: what it says of its version is not what is answered, and what it says of
   * its name is in its key.
   */
  boolean isOfTheContent() {
    String first = path.substring(0, path.indexOf('.') < 0 ? path.length() : path.indexOf('.'));
    return PLAIN.matcher(path).matches() && !OF_THE_OBJECT.contains(first);
  }
}
