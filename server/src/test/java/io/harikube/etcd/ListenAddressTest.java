package io.harikube.etcd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetSocketAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ListenAddressTest {

  @ParameterizedTest
  @CsvSource({
    "127.0.0.1:2379, 127.0.0.1, 2379",
    "[::1]:0, 0:0:0:0:0:0:0:1, 0",
    "':2379', 0.0.0.0, 2379",
  })
  void ports(String text, String host, int port) {
    var address = (InetSocketAddress) ListenAddress.parse(text).address();
    assertThat(address.getPort()).isEqualTo(port);
    assertThat(
            address.getAddress().isAnyLocalAddress()
                ? "0.0.0.0"
                : address.getAddress().getHostAddress())
        .isEqualTo(host);
  }

  @ParameterizedTest
  @ValueSource(strings = {"/run/etcd.sock", "unix:/run/etcd.sock", "unix:///run/etcd.sock"})
  void sockets(String text) {
    assertThat(ListenAddress.parse(text).socket()).hasToString("/run/etcd.sock");
  }

  @Test
  void nonsense() {
    assertThatThrownBy(() -> ListenAddress.parse("localhost"))
        .hasMessage("an address to listen on needs a port: localhost");
    assertThatThrownBy(() -> ListenAddress.parse("localhost:http"))
        .hasMessage("not a port to listen on: localhost:http");
  }
}
