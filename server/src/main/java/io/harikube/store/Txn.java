package io.harikube.store;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A transaction: if all of {@code compares} hold, {@code success} is done, else {@code failure}; in
 * order, each operation seeing what those before it did. All compares, also those of nested
 * transactions, look at the state before the transaction.
 */
public record Txn(List<Compare> compares, List<Op> success, List<Op> failure) {

  /** A transaction of just this operation. */
  public static Txn of(Op op) {
    return new Txn(List.of(), List.of(op), List.of());
  }

  /** One operation of a transaction. */
  public sealed interface Op {}

  /**
   * Sets a key.
   *
   * @param lease the lease to attach the key to, 0 for none
   * @param previous whether the answer wants the key as it was before
   * @param ignoreValue keep the value that the key has; refused if there is no such key
   * @param ignoreLease keep the lease that the key has; refused if there is no such key
   */
  public record Put(
      Bytes key,
      Bytes value,
      long lease,
      boolean previous,
      boolean ignoreValue,
      boolean ignoreLease)
      implements Op {}

  /** Reads a range; {@code query.revision()} may be an old one. */
  public record Range(RangeQuery query) implements Op {}

  /**
   * Deletes all keys of a range.
   *
   * @param previous whether the answer wants the keys that were deleted
   */
  public record Delete(KeyRange range, boolean previous) implements Op {}

  /** A nested transaction. */
  public record Nested(Txn txn) implements Op {}

  /**
   * A condition on every key of a range. A range without keys is compared as one key with version,
   * revisions and lease 0; a comparison of its value never holds.
   *
   * @param number what the target is compared with, unless the target is the value
   * @param value what the value is compared with; null for every other target
   */
  public record Compare(
      KeyRange range, Target target, Relation relation, long number, @Nullable Bytes value) {

    /** Whether a number of one key is this one; of a key that there is not all are 0. */
    public static Compare equal(Bytes key, Target target, long number) {
      return new Compare(KeyRange.single(key), target, Relation.EQUAL, number, null);
    }

    /** What of a key is compared. */
    public enum Target {
      VERSION,
      CREATE,
      MOD,
      VALUE,
      LEASE
    }

    /** How it is compared. */
    public enum Relation {
      EQUAL,
      GREATER,
      LESS,
      NOT_EQUAL;

      /** Whether {@code comparison} (negative, 0, positive: left is less, equal, greater) fits. */
      public boolean holds(int comparison) {
        return switch (this) {
          case EQUAL -> comparison == 0;
          case GREATER -> comparison > 0;
          case LESS -> comparison < 0;
          case NOT_EQUAL -> comparison != 0;
        };
      }
    }
  }

  /** Whether no branch of this transaction can change anything. */
  public boolean isReadOnly() {
    return readOnly(success) && readOnly(failure);
  }

  private static boolean readOnly(List<Op> ops) {
    for (Op op : ops) {
      boolean reads =
          switch (op) {
            case Put _, Delete _ -> false;
            case Range _ -> true;
            case Nested(Txn txn) -> txn.isReadOnly();
          };
      if (!reads) {
        return false;
      }
    }
    return true;
  }
}
