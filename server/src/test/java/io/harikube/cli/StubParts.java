package io.harikube.cli;

import io.harikube.ops.StubStore;
import io.harikube.sql.Restore;
import io.harikube.sql.SqlOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A store without a database and a frontend that only takes its port. */
final class StubParts {
  final StubStore store = new StubStore();
  final List<String> steps = new ArrayList<>();
  @Nullable SqlOptions opened;
  Parts.@Nullable Settings served;
  Restore.@Nullable From restored;
  @Nullable IOException refusal;
  Runnable opening = () -> {};

  Parts parts() {
    return new Parts(
        (options, clock, metrics) -> {
          steps.add("open");
          opened = options;
          opening.run();
          return store;
        },
        (store, settings) -> {
          steps.add("serve");
          served = settings;
          if (refusal != null) {
            throw refusal;
          }
          return new Serving(settings.listen());
        },
        (file, options, from) -> {
          opened = options;
          restored = from;
          return 7;
        },
        InstantSource.system());
  }

  private final class Serving implements Parts.Serving {
    private final ServerSocket socket = new ServerSocket();

    Serving(Address address) throws IOException {
      if (address.socket() instanceof InetSocketAddress tcp) {
        socket.bind(tcp);
      }
    }

    @Override
    public int port() {
      return socket.getLocalPort();
    }

    @Override
    public List<String> alarms() {
      return List.of();
    }

    @Override
    public void close() {
      steps.add("close frontend, store " + (store.closed ? "closed" : "open"));
      try {
        socket.close();
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** The command line of a child process, which loses its database when its input ends. */
  public static void main(String[] arguments) {
    StubParts stub = new StubParts();
    Parts parts = stub.parts();
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                System.in.readAllBytes();
                stub.store.ended.complete("another server has taken the database over");
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    System.exit(Main.commandLine(System.getenv(), parts).execute(arguments));
  }
}
