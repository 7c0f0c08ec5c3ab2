package io.harikube.sql;

import io.harikube.store.Commit;
import io.harikube.store.Event;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Tells of commits once they are durable; the writer's thread tells, any thread may ask. */
final class Publisher {
  private volatile Consumer<Commit> listener = _ -> {};
  private volatile Consumer<Meta> jumped = _ -> {};
  private final CompletableFuture<String> ended = new CompletableFuture<>();
  private volatile long revision;

  /**
   * @param revision the current one
   */
  Publisher(long revision) {
    this.revision = revision;
  }

  void subscribe(Consumer<Commit> newListener) {
    listener = newListener;
  }

  /** See {@link Writer#onJump}. */
  void onJump(Consumer<Meta> newListener) {
    jumped = newListener;
  }

  /** The last revision whose events have been handed to the listener. */
  long revision() {
    return revision;
  }

  void commit(long first, long last, @Nullable List<Event> events) {
    listener.accept(new Commit(first, last, events));
    revision = last;
  }

  /** The database has lost commits, and goes on later. */
  void jump(Meta now) {
    jumped.accept(now);
    listener.accept(Commit.jump(now.revision()));
    revision = now.revision();
  }

  /**
   * There will be no more commits; not by this thread, which may be what the listener waits for.
   */
  void end(String why) {
    Thread.ofVirtual().start(() -> ended.complete(why));
  }

  /** See {@link io.harikube.store.Store#ended}. */
  CompletableFuture<String> ended() {
    return ended;
  }
}
