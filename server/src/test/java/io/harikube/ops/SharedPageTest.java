package io.harikube.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.harikube.testing.Await;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class SharedPageTest {
  private static final int CLIENTS = 20;

  private final AtomicInteger made = new AtomicInteger();
  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch end = new CountDownLatch(1);

  private byte[] make(String form) throws IOException {
    int number = made.incrementAndGet();
    begun.countDown();
    try {
      end.await();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
    return (form + number).getBytes(StandardCharsets.UTF_8);
  }

  private final SharedPage<String> page = new SharedPage<>(this::make);

  private CompletableFuture<String> ask(List<Thread> asking) {
    CompletableFuture<String> answer = new CompletableFuture<>();
    asking.add(
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    answer.complete(new String(page.get("page "), StandardCharsets.UTF_8));
                  } catch (IOException | InterruptedException e) {
                    answer.completeExceptionally(e);
                  }
                }));
    return answer;
  }

  /** A page that was begun before somebody asked may lack what they have just seen happen. */
  @Test
  void isMadeOnceForAllWhoAskedBeforeItWasBegun() throws Exception {
    List<Thread> asking = new ArrayList<>();
    CompletableFuture<String> first = ask(asking);
    begun.await();
    List<CompletableFuture<String>> others = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) {
      others.add(ask(asking));
    }
    Await.until(
        "all wait",
        () ->
            asking.stream().skip(1).allMatch(thread -> thread.getState() == Thread.State.BLOCKED));
    end.countDown();
    assertThat(Await.answer(first)).isEqualTo("page 1");
    for (CompletableFuture<String> other : others) {
      assertThat(Await.answer(other)).isEqualTo("page 2");
    }
  }
}
