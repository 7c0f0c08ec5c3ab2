package io.harikube.store;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** What one operation of a transaction answers, with the revision that its header shows. */
public sealed interface OpResult {

  long revision();

  /**
   * The answer to a put.
   *
   * @param previous the key before, if it was asked for and there was one
   */
  record Put(long revision, @Nullable KeyValue previous) implements OpResult {}

  /**
   * The answer to a range.
   *
   * @param revision the current revision of the snapshot, also if an older one was asked for
   * @param kvs the keys
   * @param more whether the limit kept keys back
   * @param count the number of keys in the whole range, whatever the limit and the revision bounds
   */
  record Range(long revision, List<KeyValue> kvs, boolean more, long count) implements OpResult {}

  /**
   * The answer to a deletion.
   *
   * @param deleted how many keys were deleted
   * @param previous these keys, if they were asked for
   */
  record Delete(long revision, long deleted, List<KeyValue> previous) implements OpResult {}

  /**
   * The answer to a transaction.
   *
   * @param revision the revision of its changes; the current revision if it changed nothing
   * @param succeeded whether the compares held
   * @param results one answer for each operation of the branch that was taken
   */
  record Txn(long revision, boolean succeeded, List<OpResult> results) implements OpResult {}
}
