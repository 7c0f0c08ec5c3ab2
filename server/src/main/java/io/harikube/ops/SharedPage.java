package io.harikube.ops;

import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A page that takes a while to make. It is made by one thread at a time, once for all who asked
 * before that was begun, and with pauses between: however many ask, and however often, the pages
 * take a quarter of one processor at the most. Whoever asks now and then does not notice.
 */
final class SharedPage<K> {
  /** A pause is so many times what the page took. */
  private static final int PAUSE = 3;

  private static final Duration LONGEST_PAUSE = Duration.ofMillis(200);

  /** Makes the page in one of its forms. */
  interface Maker<K> {
    byte[] make(K form) throws IOException;
  }

  private static final class Made {
    final long number;
    final byte[] page;

    Made(long number, byte[] page) {
      this.number = number;
      this.page = page;
    }
  }

  private final Maker<K> maker;
  private final Object making = new Object();
  private final Map<K, Made> latest = new HashMap<>();
  private volatile long begun;
  private long earliest = System.nanoTime();

  SharedPage(Maker<K> maker) {
    this.maker = maker;
  }

  /**
   * The page, as it is now.
   *
   * @param form one of a few
   */
  byte[] get(K form) throws IOException, InterruptedException {
    long asked = begun;
    synchronized (making) {
      Made made = latest.get(form);
      if (made != null && made.number > asked) {
        return made.page;
      }
      TimeUnit.NANOSECONDS.sleep(earliest - System.nanoTime());
      long number = begun + 1;
      begun = number;
      long begin = System.nanoTime();
      byte[] page = maker.make(form);
      long end = System.nanoTime();
      earliest = end + Math.min(PAUSE * (end - begin), LONGEST_PAUSE.toNanos());
      latest.put(form, new Made(number, page));
      return page;
    }
  }
}
