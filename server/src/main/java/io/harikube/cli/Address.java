package io.harikube.cli;

import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;

/**
 * An address to listen on, as kine writes them: {@code host:port} with or without {@code tcp://},
 * {@code http://} or {@code https://} before it, {@code unix:///path}, {@code unix://path}.
 *
 * @param text the address without a scheme, or the path
 */
record Address(String text, SocketAddress socket, boolean needsTls) {

  /**
   * @param option the option that the text is of, for messages
   */
  static Address parse(String option, String text) throws StartException {
    int separator = text.indexOf("://");
    String scheme = separator < 0 ? "" : text.substring(0, separator);
    String rest = separator < 0 ? text : text.substring(separator + "://".length());
    return switch (scheme) {
      case "unix", "unixs" -> unix(option, rest, scheme.equals("unixs"));
      case "", "tcp", "http" -> tcp(option, rest, false);
      case "https" -> tcp(option, rest, true);
      default ->
          throw new StartException(
              option + " begins with \"" + scheme + "://\"; write host:port or unix:///path.");
    };
  }

  private static Address unix(String option, String path, boolean needsTls) throws StartException {
    if (path.isEmpty()) {
      throw new StartException(option + " names no path of a unix socket.");
    }
    try {
      Path file = Path.of(path).toAbsolutePath();
      return new Address(file.toString(), UnixDomainSocketAddress.of(file), needsTls);
    } catch (InvalidPathException e) {
      throw new StartException(option + " is not the path of a unix socket.", e);
    }
  }

  private static Address tcp(String option, String text, boolean needsTls) throws StartException {
    String address = text.endsWith("/") ? text.substring(0, text.length() - 1) : text;
    int colon = address.lastIndexOf(':');
    String host = colon < 0 ? "" : address.substring(0, colon);
    String port = address.substring(colon + 1);
    boolean bracketed = host.startsWith("[") && host.endsWith("]");
    if (colon < 0
        || !port.matches("[0-9]{1,5}")
        || Integer.parseInt(port) > 65535
        || (host.contains(":") && !bracketed)) {
      throw new StartException(
          option + " is \"" + text + "\", but has to be host:port with a port up to 65535.");
    }
    int number = Integer.parseInt(port);
    InetSocketAddress socket =
        host.isEmpty()
            ? new InetSocketAddress(number)
            : new InetSocketAddress(
                bracketed ? host.substring(1, host.length() - 1) : host, number);
    if (socket.isUnresolved()) {
      throw new StartException(option + " names the host \"" + host + "\", which is not known.");
    }
    return new Address(address.startsWith(":") ? "0.0.0.0" + address : address, socket, needsTls);
  }

  boolean isUnix() {
    return socket instanceof UnixDomainSocketAddress;
  }

  /** The port; -1 for a unix socket. */
  int port() {
    return socket instanceof InetSocketAddress tcp ? tcp.getPort() : -1;
  }

  /**
   * Makes sure that nobody listens here yet: before the store is opened, because opening it takes
   * the database from whoever writes to it.
   */
  void claim() throws StartException {
    try {
      if (socket instanceof UnixDomainSocketAddress unix) {
        claim(unix);
      } else {
        try (ServerSocket probe = new ServerSocket()) {
          probe.setReuseAddress(true);
          probe.bind(socket);
        }
      }
    } catch (IOException e) {
      throw refused(e);
    }
  }

  /** The socket file of a server that is gone is left where it is; one that answers is not ours. */
  private void claim(UnixDomainSocketAddress unix) throws StartException {
    Path file = unix.getPath();
    if (Files.exists(file)) {
      try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
        if (channel.connect(unix)) {
          throw new StartException("Another server listens on " + text + ".");
        }
      } catch (IOException e) {
        if (Files.isRegularFile(file) || Files.isDirectory(file)) {
          throw new StartException(text + " is a file, not a unix socket.", e);
        }
      }
    } else {
      Path folder = file.getParent();
      if (folder == null || !Files.isDirectory(folder) || !Files.isWritable(folder)) {
        throw new StartException("No unix socket can be made at " + text + ".");
      }
    }
  }

  /** The sentence for a failure to listen. */
  StartException refused(IOException e) {
    String reason = String.valueOf(e.getMessage());
    if (reason.contains("already in use")) {
      return new StartException("The address " + text + " is already in use.", e);
    }
    String detail =
        e instanceof BindException || e.getCause() == null
            ? reason
            : String.valueOf(e.getCause().getMessage());
    return detail.contains("already in use")
        ? new StartException("The address " + text + " is already in use.", e)
        : new StartException("Nothing can listen on " + text + ": " + detail + ".", e);
  }
}
