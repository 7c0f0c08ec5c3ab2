package io.harikube.store;

/**
 * What a range asks for. Source of every option: etcd's RangeRequest. Whatever is handed over, no
 * limit and no bound is 0 in what is made of it.
 *
 * @param range the keys
 * @param limit how many keys to answer at most; 0 for all, as a negative one and the greatest
 *     number are
 * @param revision the revision to read at; 0 for the current one, and less, too, while nothing has
 *     been compacted
 * @param target what to sort by
 * @param order how to sort; {@code NONE} with a target other than the key is ascending, and see
 *     {@link #cutsBeforeSorting}
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

  public RangeQuery {
    if (minModRevision != 0
        || maxModRevision != 0
        || minCreateRevision != 0
        || maxCreateRevision != 0) {
      // etcd sorts before it cuts as soon as there is a bound, even one that leaves nothing out.
      order = order == Order.NONE ? Order.ASCEND : order;
    }
    limit = limit < 0 || limit == Long.MAX_VALUE ? 0 : limit;
    minModRevision = Math.max(0, minModRevision);
    minCreateRevision = Math.max(0, minCreateRevision);
    maxModRevision = maxModRevision == Long.MAX_VALUE ? 0 : maxModRevision;
    maxCreateRevision = maxCreateRevision == Long.MAX_VALUE ? 0 : maxCreateRevision;
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
    return new RangeQuery(
        range, 0, 0, Target.KEY, Order.NONE, false, false, 0, 0, 0, 0, Filter.NONE);
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

  /**
   * The same in the order of the keys, of all revisions, and the keys themselves: what can be
   * answered in parts.
   */
  public RangeQuery inParts() {
    return new RangeQuery(
        range, limit, revision, Target.KEY, Order.NONE, keysOnly, false, 0, 0, 0, 0, filter);
  }

  /** Whether it wants one key, and neither its number nor one of certain revisions. */
  public boolean isPoint() {
    return range.isSingle() && !countOnly && !hasRevisionBounds();
  }

  /** Whether one of the four revision bounds is set. */
  public boolean hasRevisionBounds() {
    return minModRevision != 0
        || maxModRevision != 0
        || minCreateRevision != 0
        || maxCreateRevision != 0;
  }

  /** How many keys to answer at most. */
  public long mostKeys() {
    return limit > 0 ? limit : Long.MAX_VALUE;
  }

  /**
   * Whether the limit is applied to the keys in their own order, and what is left is sorted, with
   * one key more than the limit: etcd does so if there is a target but no order.
   */
  public boolean cutsBeforeSorting() {
    return limit > 0 && order == Order.NONE && target != Target.KEY;
  }

  /** Whether the answer comes in the order of the keys, from the first on. */
  public boolean inKeyOrder() {
    return target == Target.KEY && order != Order.DESCEND;
  }
}
