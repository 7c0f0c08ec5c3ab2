package io.harikube.store;

import static io.harikube.testing.Ops.bytes;
import static io.harikube.testing.Ops.range;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

final class KeyRangeTest {

  @Test
  void aRequestWithoutAnEndIsOneKey() {
    KeyRange single = KeyRange.ofRequest(Bytes.of("a"), Bytes.EMPTY);
    assertThat(single).isEqualTo(KeyRange.single(Bytes.of("a")));
    assertThat(single.isSingle()).isTrue();
    assertThat(single.contains(Bytes.of("a"))).isTrue();
    assertThat(single.contains(bytes('a', 0))).isFalse();
  }

  @Test
  void aZeroByteAsTheEndIsEverythingFromTheKeyOn() {
    KeyRange range = KeyRange.ofRequest(Bytes.of("b"), bytes(0));
    assertThat(range.end()).isNull();
    assertThat(range.contains(bytes(0xff, 0xff, 0xff))).isTrue();
    assertThat(range.contains(Bytes.of("a"))).isFalse();
    assertThat(range.isSingle()).isFalse();
    assertThat(range.isEmpty()).isFalse();
  }

  @Test
  void anyOtherEndIsExclusive() {
    KeyRange range = KeyRange.ofRequest(Bytes.of("a"), Bytes.of("c"));
    assertThat(range).isEqualTo(range("a", "c"));
    assertThat(range.contains(Bytes.of("bz"))).isTrue();
    assertThat(range.contains(Bytes.of("c"))).isFalse();
    assertThat(KeyRange.ofRequest(Bytes.of("a"), bytes(0, 0)).isEmpty()).isTrue();
  }

  @Test
  void isEmptyIfItsEndIsNotBehindItsStart() {
    assertThat(range("b", "b").isEmpty()).isTrue();
    assertThat(range("b", "a").isEmpty()).isTrue();
    assertThat(range("b", "ba").isEmpty()).isFalse();
  }

  @Test
  void isSingleExactlyIfItIsTheRangeOfOneKey() {
    Random random = new Random(1);
    for (int i = 0; i < 20_000; i++) {
      Bytes start = BytesTest.random(random);
      Bytes end = BytesTest.random(random);
      assertThat(new KeyRange(start, end).isSingle()).isEqualTo(end.equals(start.successor()));
    }
    assertThat(KeyRange.single(Bytes.EMPTY).isSingle()).isTrue();
    assertThat(KeyRange.single(bytes(0xff)).isSingle()).isTrue();
  }

  @Test
  void aPrefixOfNothingIsEverything() {
    assertThat(KeyRange.prefix(Bytes.EMPTY)).isEqualTo(new KeyRange(Bytes.EMPTY, null));
    assertThat(KeyRange.prefix(bytes(0xff))).isEqualTo(new KeyRange(bytes(0xff), null));
  }

  @Test
  void goesOnFromAKey() {
    assertThat(range("a", "c").from(Bytes.of("b"))).isEqualTo(range("b", "c"));
  }
}
