package io.harikube.kubernetes;

import io.harikube.store.AttributeName;

/** The names of the attributes of objects: made here and taken apart nowhere. */
final class AttributeNames {
  private static final String FIELD = "f:";

  private AttributeNames() {}

  static AttributeName label(String key) {
    return new AttributeName("l:" + key);
  }

  /** Of a field of a built-in resource. */
  static AttributeName field(String field) {
    return new AttributeName(FIELD + field);
  }

  /** Of a field of a custom resource: what one definition says is not taken for another one's. */
  static AttributeName field(String field, CustomResource of) {
    return AttributeName.added(FIELD + field + "@" + of.resource().path() + "#" + of.fingerprint());
  }
}
