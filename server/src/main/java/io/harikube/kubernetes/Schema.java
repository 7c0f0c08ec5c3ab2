package io.harikube.kubernetes;

import org.jspecify.annotations.Nullable;

/** The schema of a value in a CustomResourceDefinition, as far as defaults are concerned. */
interface Schema {
  /** The schema that says nothing. */
  Schema EMPTY =
      new Schema() {
        @Override
        public boolean hasDefault() {
          return false;
        }

        @Override
        public @Nullable Schema member(String name) {
          return null;
        }
      };

  boolean hasDefault();

  /** The schema of a member of an object or of a map; null if there is none. */
  @Nullable Schema member(String name);

  /** Whether a default on the way to a field or of the field itself can give it a value. */
  static boolean mayDefault(Schema schema, String path) {
    Schema at = schema;
    for (String name : path.split("\\.", -1)) {
      Schema member = at.member(name);
      if (member == null) {
        return false;
      }
      if (member.hasDefault()) {
        return true;
      }
      at = member;
    }
    return false;
  }
}
