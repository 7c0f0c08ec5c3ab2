package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

final class BacklogTest {
  private final Backlog backlog = new Backlog(100);

  @Test
  void refusesWhatIsTooMuch() {
    backlog.enter(60);
    backlog.enter(40);
    assertThatThrownBy(() -> backlog.enter(1))
        .hasMessage("RESOURCE_EXHAUSTED: etcdserver: too many requests");
    backlog.leave(60);
    backlog.enter(60);
    assertThat(backlog.bytes()).isEqualTo(100);
  }

  @Test
  void oneMayAlwaysEnter() {
    backlog.enter(500);
    assertThatThrownBy(() -> backlog.enter(1)).hasMessageContaining("too many requests");
    backlog.leave(500);
    assertThat(backlog.bytes()).isZero();
  }
}
