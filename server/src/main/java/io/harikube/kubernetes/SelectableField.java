package io.harikube.kubernetes;

import java.util.regex.Pattern;

/**
 * A field that a custom resource lets selectors ask for.
 *
 * @param path names joined by dots, without one in front: the label of the field
 * @param mayHaveDefault whether an object without it may have a value all the same, by a default in
 *     the schema
 */
public record SelectableField(String path, boolean mayHaveDefault) {
  private static final Pattern PLAIN = Pattern.compile("[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*");

  /** Whether the path is of plain names, so that it means the same everywhere. */
  boolean isPlain() {
    return PLAIN.matcher(path).matches();
  }
}
