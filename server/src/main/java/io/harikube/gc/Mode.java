package io.harikube.gc;

/** Whether garbage is collected. */
public enum Mode {
  ON,
  /** It is only said what would be done. */
  DRY_RUN,
  OFF
}
