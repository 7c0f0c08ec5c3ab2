package io.harikube.kubernetes;

import io.harikube.store.AttributeName;

/** The names of the attributes of objects: made and told apart here. */
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

  /** Whether it is the name of a field of a custom resource. */
  static boolean isOfDefinition(AttributeName name) {
    return name.text().startsWith(AttributeName.added(FIELD).text());
  }
}
