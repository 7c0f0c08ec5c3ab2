package io.harikube.store;

/** Why a store refused an operation. A refused operation has changed nothing. */
public final class StoreException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The reasons, each with etcd's meaning. */
  public enum Reason {
    /** The revision asked for has been compacted away. */
    COMPACTED,
    /** The revision asked for does not exist yet. */
    FUTURE_REVISION,
    /** ignore_value or ignore_lease of a key that does not exist. */
    KEY_NOT_FOUND,
    /** There is no such lease. */
    LEASE_NOT_FOUND,
    /** There is such a lease already. */
    LEASE_EXISTS,
    /** What was asked for is larger than the store can ever hold or answer. */
    TOO_LARGE,
    /**
     * The database cannot be reached just now. Whether the operation was done is not known, as with
     * etcd's timeouts.
     */
    UNAVAILABLE,
    /** The database has no room for it: its disk is full, or its quota. */
    NO_SPACE,
    /** The database refused the operation: the operation, not the store, is at fault. */
    REFUSED
  }

  private final Reason reason;

  public StoreException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public StoreException(Reason reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}
