package io.harikube.kubernetes;

/** What the value of a field is in a stored object. */
enum Form {
  STRING,
  BOOL,
  INT32,
  /** A field of a custom resource: string, boolean or integer. */
  SCALAR,
  /** A map of strings. */
  LABELS
}
