package io.harikube.store;

/**
 * What a range asks for. Source of every option: etcd's RangeRequest.
 *
 * @param range the keys
 * @param limit how many keys to answer at most; 0 for all
 * @param revision the revision to read at; 0 for the current one, and less, too, while nothing has
 *     been compacted
 * @param target what to sort by
 * @param order how to sort; {@code NONE} with a target other than the key is ascending
 * @param keysOnly leave the values away
 * @param countOnly answer just the count
 * @param minModRevision leave out keys that were changed before this revision; 0 for no bound
 * @param maxModRevision leave out keys that were changed after this revision; 0 for no bound
 * @param minCreateRevision leave out keys that were created before this revision; 0 for no bound
 * @param maxCreateRevision leave out keys that were created after this revision; 0 for no bound
 * @param filter leave out keys that it does not match; more than it matches may be answered, and a
 *     count then says no more than whether there are keys behind the limit
 */
public record RangeQuery(
    KeyRange range,
    long limit,
    long revision,
    Target target,
    Order order,
    boolean keysOnly,
    boolean countOnly,
    long minModRevision,
    long maxModRevision,
    long minCreateRevision,
    long maxCreateRevision,
    Filter filter) {

  /** A query without a filter. */
  public RangeQuery(
      KeyRange range,
      long limit,
      long revision,
      Target target,
      Order order,
      boolean keysOnly,
      boolean countOnly,
      long minModRevision,
      long maxModRevision,
      long minCreateRevision,
      long maxCreateRevision) {
    this(
        range,
        limit,
        revision,
        target,
        order,
        keysOnly,
        countOnly,
        minModRevision,
        maxModRevision,
        minCreateRevision,
        maxCreateRevision,
        Filter.NONE);
  }

  /** What a range is sorted by. */
  public enum Target {
    KEY,
    VERSION,
    CREATE,
    MOD,
    VALUE
  }

  /** How a range is sorted. */
  public enum Order {
    NONE,
    ASCEND,
    DESCEND
  }

  /** All of {@code range}, in the order of the keys, at the current revision. */
  public static RangeQuery of(KeyRange range) {
    return new RangeQuery(range, 0, 0, Target.KEY, Order.NONE, false, false, 0, 0, 0, 0);
  }

  public RangeQuery atRevision(long newRevision) {
    return with(range, limit, newRevision, filter);
  }

  public RangeQuery withLimit(long newLimit) {
    return with(range, newLimit, revision, filter);
  }

  public RangeQuery within(KeyRange newRange) {
    return with(newRange, limit, revision, filter);
  }

  public RangeQuery filtered(Filter newFilter) {
    return with(range, limit, revision, newFilter);
  }

  private RangeQuery with(KeyRange newRange, long newLimit, long newRevision, Filter newFilter) {
    return new RangeQuery(
        newRange,
        newLimit,
        newRevision,
        target,
        order,
        keysOnly,
        countOnly,
        minModRevision,
        maxModRevision,
        minCreateRevision,
        maxCreateRevision,
        newFilter);
  }

  /** Whether one of the four revision bounds is set. */
  public boolean hasRevisionBounds() {
    return minModRevision != 0
        || maxModRevision != 0
        || minCreateRevision != 0
        || maxCreateRevision != 0;
  }

  /** Whether the answer comes in the order of the keys, from the first on. */
  public boolean inKeyOrder() {
    return target == Target.KEY && order != Order.DESCEND;
  }
}
