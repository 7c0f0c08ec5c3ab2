package io.harikube.store;

import static io.harikube.testing.Ops.bounded;
import static io.harikube.testing.Ops.sorted;
import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.store.RangeQuery.Order;
import io.harikube.store.RangeQuery.Target;
import io.harikube.testing.Ops;
import org.junit.jupiter.api.Test;

/** What is made of the numbers of a request. */
final class RangeQueryTest {
  private static long limit(long limit) {
    return RangeQuery.of(Ops.ALL).withLimit(limit).limit();
  }

  @Test
  void noLimitIsZero() {
    assertThat(limit(0)).isEqualTo(0);
    assertThat(limit(-1)).isEqualTo(0);
    assertThat(limit(Long.MIN_VALUE)).isEqualTo(0);
    assertThat(limit(Long.MAX_VALUE)).isEqualTo(0);
    assertThat(limit(Long.MAX_VALUE - 1)).isEqualTo(Long.MAX_VALUE - 1);
    assertThat(RangeQuery.of(Ops.ALL).mostKeys()).isEqualTo(Long.MAX_VALUE);
    assertThat(RangeQuery.of(Ops.ALL).withLimit(7).mostKeys()).isEqualTo(7);
  }

  @Test
  void noBoundIsZero() {
    RangeQuery query = bounded(Ops.ALL, 0, -5, Long.MAX_VALUE, Long.MIN_VALUE, Long.MAX_VALUE);
    assertThat(query.hasRevisionBounds()).isFalse();
    assertThat(query).isEqualTo(sorted(Ops.ALL, 0, Target.KEY, Order.ASCEND));
    assertThat(bounded(Ops.ALL, 0, 0, -1, 0, 0).hasRevisionBounds()).isTrue();
  }

  @Test
  void theOrderThatIsMeantStaysWhateverElseChanges() {
    RangeQuery none = sorted(Ops.ALL, 3, Target.MOD, Order.NONE);
    assertThat(none.cutsBeforeSorting()).isTrue();
    assertThat(none.atRevision(5).cutsBeforeSorting()).isTrue();
    assertThat(none.withLimit(0).cutsBeforeSorting()).isFalse();
    assertThat(none.withLimit(0).withLimit(3)).isEqualTo(none);
    assertThat(sorted(Ops.ALL, 3, Target.KEY, Order.NONE).cutsBeforeSorting()).isFalse();
    RangeQuery bounded =
        new RangeQuery(
            Ops.ALL, 3, 0, Target.MOD, Order.NONE, false, false, 0, 0, -1, 0, Filter.NONE);
    assertThat(bounded.atRevision(5).cutsBeforeSorting()).isFalse();
    assertThat(bounded.hasRevisionBounds()).isFalse();
  }
}
