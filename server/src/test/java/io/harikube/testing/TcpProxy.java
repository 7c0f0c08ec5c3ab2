package io.harikube.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;

/**
 * A network between a client and a server on this machine that can fail: connections are cut, or
 * stay open and carry nothing any more.
 */
public final class TcpProxy implements AutoCloseable {
  private final int target;
  private final ServerSocket listener;
  private final Set<Pair> pairs = ConcurrentHashMap.newKeySet();
  private final AtomicInteger accepted = new AtomicInteger();
  private volatile IntFunction<UnaryOperator<byte[]>> first = _ -> UnaryOperator.identity();

  /** A connection of the client and the one to the server that belongs to it. */
  private static final class Pair {
    final Socket client;
    final Socket server;
    volatile boolean frozen;

    Pair(Socket client, Socket server) {
      this.client = client;
      this.server = server;
    }

    void awaitThaw() {
      while (frozen) {
        LockSupport.parkNanos(1_000_000);
      }
    }

    void close() {
      try (client;
          server) {
        frozen = false;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  public TcpProxy(int target) {
    this.target = target;
    try {
      listener = new ServerSocket(0, 100, InetAddress.getLoopbackAddress());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread.ofPlatform().daemon().name("proxy").start(this::accept);
  }

  public int port() {
    return listener.getLocalPort();
  }

  /** How many connections there have been. */
  public int accepted() {
    return accepted.get();
  }

  /** Changes the first bytes that the n-th connection from now on sends to the server. */
  public void first(IntFunction<UnaryOperator<byte[]>> change) {
    accepted.set(0);
    first = change;
  }

  /** The connections that there are stay open, and carry nothing any more. */
  public void freeze() {
    pairs.forEach(pair -> pair.frozen = true);
  }

  /** Cuts the connections that there are. */
  public void cut() {
    pairs.forEach(Pair::close);
    pairs.clear();
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        UnaryOperator<byte[]> change = first.apply(accepted.getAndIncrement());
        Pair pair = new Pair(client, new Socket(InetAddress.getLoopbackAddress(), target));
        pairs.add(pair);
        Thread.ofVirtual().start(() -> carry(pair, client, pair.server, change));
        Thread.ofVirtual().start(() -> carry(pair, pair.server, client, UnaryOperator.identity()));
      } catch (IOException e) {
        // The listener is closed, or the server refuses.
      }
    }
  }

  private static void carry(Pair pair, Socket from, Socket to, UnaryOperator<byte[]> first) {
    byte[] buffer = new byte[1 << 16];
    UnaryOperator<byte[]> change = first;
    try {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      for (int length; (length = in.read(buffer)) >= 0; ) {
        pair.awaitThaw();
        byte[] bytes = Arrays.copyOf(buffer, length);
        out.write(change.apply(bytes));
        change = UnaryOperator.identity();
      }
    } catch (IOException e) {
      // The other side learns of it.
    }
    pair.awaitThaw();
    pair.close();
  }

  @Override
  public void close() {
    try {
      listener.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    cut();
  }
}
