package io.harikube.sql;

/** Says which job of a batch failed after it had changed the batch, which is to be undone. */
final class Poisoned extends Exception {
  private static final long serialVersionUID = 1;
  final transient Job<?> job;
  final RuntimeException reason;

  /** Whether nothing but the job is at fault: its connection is well. */
  final boolean clean;

  Poisoned(Job<?> job, RuntimeException reason, boolean clean) {
    super(reason);
    this.job = job;
    this.reason = reason;
    this.clean = clean;
  }
}
