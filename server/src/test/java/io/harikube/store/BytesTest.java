package io.harikube.store;

import static io.harikube.testing.Ops.bytes;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class BytesTest {

  @Test
  void comparesUnsignedAndShorterFirst() {
    assertThat(bytes(0x7f)).isLessThan(bytes(0x80));
    assertThat(bytes(1)).isLessThan(bytes(1, 0));
    assertThat(bytes()).isLessThan(bytes(0));
    assertThat(bytes(1, 2)).isLessThan(bytes(2));
    assertThat(bytes(3, 4)).isEqualByComparingTo(bytes(3, 4));
  }

  @Test
  void isEqualByItsBytes() {
    assertThat(bytes(1, 2)).isEqualTo(bytes(1, 2)).hasSameHashCodeAs(bytes(1, 2));
    assertThat(bytes(1, 2)).isNotEqualTo(bytes(1, 3)).isNotEqualTo(bytes(1));
    assertThat(Bytes.of(new byte[0])).isSameAs(Bytes.EMPTY);
    assertThat(Bytes.of("")).isEqualTo(Bytes.EMPTY);
  }

  @Test
  void nothingIsBetweenOneAndItsSuccessor() {
    Random random = new Random(1);
    for (int i = 0; i < 10_000; i++) {
      Bytes one = random(random);
      Bytes other = random(random);
      assertThat(one.successor()).isGreaterThan(one);
      assertThat(other.compareTo(one) > 0).isEqualTo(other.compareTo(one.successor()) >= 0);
    }
  }

  @Test
  void thePrefixEndIsTheFirstKeyWithoutThePrefix() {
    assertThat(Bytes.of("a/").prefixEnd()).isEqualTo(Bytes.of("a0"));
    assertThat(bytes(1, 0xff).prefixEnd()).isEqualTo(bytes(2));
    assertThat(bytes(1, 0xff, 0xff).prefixEnd()).isEqualTo(bytes(2));
    assertThat(bytes(0x7f).prefixEnd()).isEqualTo(bytes(0x80));
    assertThat(bytes(0xff).prefixEnd()).isEqualTo(Bytes.EMPTY);
    assertThat(bytes(0xff, 0xff).prefixEnd()).isEqualTo(Bytes.EMPTY);
    assertThat(Bytes.EMPTY.prefixEnd()).isEqualTo(Bytes.EMPTY);
  }

  @Test
  void theRangeOfAPrefixHasItsKeysAndNoOthers() {
    Random random = new Random(2);
    for (int i = 0; i < 10_000; i++) {
      Bytes prefix = random(random);
      Bytes key = random(random);
      assertThat(KeyRange.prefix(prefix).contains(key))
          .as("%s of %s", Arrays.toString(key.array()), Arrays.toString(prefix.array()))
          .isEqualTo(key.startsWith(prefix));
    }
  }

  @Test
  void cutsPrefixes() {
    assertThat(bytes(1, 2, 3).prefix(2)).isEqualTo(bytes(1, 2));
    assertThat(bytes(1, 2).prefix(2)).isEqualTo(bytes(1, 2));
    assertThat(bytes(1, 2).prefix(0)).isEqualTo(Bytes.EMPTY);
    assertThat(bytes(1, 2, 3).startsWith(bytes(1, 2))).isTrue();
    assertThat(bytes(1, 2).startsWith(bytes(1, 2, 3))).isFalse();
    assertThat(bytes(1, 2).startsWith(Bytes.EMPTY)).isTrue();
  }

  /** Short, of few different bytes, so that prefixes and neighbours come up. */
  static Bytes random(Random random) {
    byte[] some = {0, 1, 0x7f, (byte) 0x80, (byte) 0xfe, (byte) 0xff};
    byte[] array = new byte[random.nextInt(5)];
    for (int i = 0; i < array.length; i++) {
      array[i] = some[random.nextInt(some.length)];
    }
    return Bytes.of(array);
  }
}
