package io.harikube.etcd;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/** A client that sends what it likes: frames of HTTP/2, one by one. What comes it passes over. */
final class RawClient implements AutoCloseable {
  private static final int DATA = 0;
  private static final int HEADERS = 1;
  private static final int RST_STREAM = 3;
  private static final int SETTINGS = 4;
  private static final int PING = 6;
  private static final int GOAWAY = 7;
  private static final int WINDOW_UPDATE = 8;
  private static final int ACK = 1;
  private static final int END_STREAM = 1;
  private static final int END_HEADERS = 4;
  private static final int FRAME = 16_384;

  private final Socket socket;
  private final AtomicBoolean goneAway = new AtomicBoolean();
  private final Set<Integer> ended = ConcurrentHashMap.newKeySet();
  private int lastStream = -1;

  RawClient(int port) throws IOException {
    socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket
        .getOutputStream()
        .write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
    frame(SETTINGS, 0, 0, new byte[0]);
    Thread.ofVirtual().start(this::readAll);
  }

  private void readAll() {
    try {
      var in = new DataInputStream(socket.getInputStream());
      while (true) {
        int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
        int type = in.readUnsignedByte();
        int flags = in.readUnsignedByte();
        int stream = in.readInt();
        byte[] payload = new byte[length];
        in.readFully(payload);
        if (type == SETTINGS && flags != ACK) {
          frame(SETTINGS, ACK, 0, new byte[0]);
        } else if (type == PING && flags != ACK) {
          frame(PING, ACK, 0, payload);
        } else if (type == GOAWAY) {
          goneAway.set(true);
        } else if (type == RST_STREAM || (type == HEADERS && (flags & END_STREAM) != 0)) {
          ended.add(stream);
        }
      }
    } catch (EOFException e) {
      goneAway.set(true);
    } catch (IOException e) {
      // The test has closed the socket, or the server.
      goneAway.set(true);
    }
  }

  /** Whether the server has ended the connection. */
  boolean isGoneAway() {
    return goneAway.get();
  }

  /** How many calls the server has ended. */
  int ended() {
    return ended.size();
  }

  private synchronized void frame(int type, int flags, int stream, byte[] payload)
      throws IOException {
    var frame = new ByteArrayOutputStream(9 + payload.length);
    frame.write(payload.length >> 16);
    frame.write(payload.length >> 8);
    frame.write(payload.length);
    frame.write(type);
    frame.write(flags);
    frame.write(stream >> 24);
    frame.write(stream >> 16);
    frame.write(stream >> 8);
    frame.write(stream);
    frame.write(payload);
    socket.getOutputStream().write(frame.toByteArray());
  }

  /** Begins a call. */
  int call(String method) throws IOException {
    lastStream += 2;
    var headers = new ByteArrayOutputStream();
    header(headers, ":method", "POST");
    header(headers, ":scheme", "http");
    header(headers, ":path", "/" + method);
    header(headers, ":authority", "localhost");
    header(headers, "te", "trailers");
    header(headers, "content-type", "application/grpc");
    frame(HEADERS, END_HEADERS, lastStream, headers.toByteArray());
    return lastStream;
  }

  private static void header(ByteArrayOutputStream out, String name, String value) {
    out.write(0);
    out.write(name.length());
    out.writeBytes(name.getBytes(StandardCharsets.US_ASCII));
    out.write(value.length());
    out.writeBytes(value.getBytes(StandardCharsets.US_ASCII));
  }

  /** Sends a message that is said to have {@code length} bytes, and the first {@code sent} only. */
  void message(int stream, int length, int sent) throws IOException {
    byte[] bytes = new byte[5 + sent];
    bytes[1] = (byte) (length >> 24);
    bytes[2] = (byte) (length >> 16);
    bytes[3] = (byte) (length >> 8);
    bytes[4] = (byte) length;
    for (int from = 0; from < bytes.length; from += FRAME) {
      frame(
          DATA,
          0,
          stream,
          java.util.Arrays.copyOfRange(bytes, from, Math.min(bytes.length, from + FRAME)));
    }
  }

  /** Sends a message. */
  void message(int stream, byte[] message) throws IOException {
    byte[] bytes = new byte[5 + message.length];
    bytes[4] = (byte) message.length;
    System.arraycopy(message, 0, bytes, 5, message.length);
    frame(DATA, 0, stream, bytes);
  }

  /** Ends the requests of a call. */
  void end(int stream) throws IOException {
    frame(DATA, END_STREAM, stream, new byte[0]);
  }

  /** Takes so many more bytes of a stream, or, with 0, of all. */
  void window(int stream, int more) throws IOException {
    frame(
        WINDOW_UPDATE,
        0,
        stream,
        new byte[] {(byte) (more >> 24), (byte) (more >> 16), (byte) (more >> 8), (byte) more});
  }

  void reset(int stream) throws IOException {
    frame(RST_STREAM, 0, stream, new byte[] {0, 0, 0, 8});
  }

  @Override
  public void close() {
    try {
      socket.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
