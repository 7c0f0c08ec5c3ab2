package io.harikube.etcd;

import io.netty.channel.ServerChannel;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Where a server listens: a port, or the path of a unix socket. */
record ListenAddress(SocketAddress address, @Nullable Path socket) {

  /**
   * @param text {@code host:port}, {@code :port}, {@code [IPv6]:port}, {@code unix:path} or a path
   *     that begins with a slash; port 0 is any free one
   * @throws IllegalArgumentException if it is none of these
   */
  static ListenAddress parse(String text) {
    if (text.startsWith("unix:") || text.startsWith("/")) {
      String path = text.startsWith("unix:") ? text.substring("unix:".length()) : text;
      // unix:///run/x and unix:/run/x are the same path.
      Path socket = Path.of(path.startsWith("//") ? path.substring(2) : path);
      return new ListenAddress(UnixDomainSocketAddress.of(socket), socket);
    }
    int colon = text.lastIndexOf(':');
    if (colon < 0) {
      throw new IllegalArgumentException("an address to listen on needs a port: " + text);
    }
    String host = text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    }
    int port;
    try {
      port = Integer.parseInt(text.substring(colon + 1));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("not a port to listen on: " + text, e);
    }
    return new ListenAddress(
        host.isEmpty() ? new InetSocketAddress(port) : new InetSocketAddress(host, port), null);
  }

  Class<? extends ServerChannel> channel() {
    return socket == null ? NioServerSocketChannel.class : NioServerDomainSocketChannel.class;
  }

  /** Removes the socket that an earlier server has left, or this one leaves. */
  void removeSocket() throws IOException {
    if (socket != null) {
      Files.deleteIfExists(socket);
    }
  }
}
