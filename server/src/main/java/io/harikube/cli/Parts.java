package io.harikube.cli;

import io.harikube.gc.Mode;
import io.harikube.ops.GrpcMetrics;
import io.harikube.ops.Metrics;
import io.harikube.sql.OpenException;
import io.harikube.sql.Restore;
import io.harikube.sql.SqlOptions;
import io.harikube.store.MemoryBudget;
import io.harikube.store.Store;
import io.harikube.store.StoreMetrics;
import io.netty.handler.ssl.SslContext;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a server is made of, besides what {@link RunningServer} makes itself.
 *
 * @param opener opens the store
 * @param frontend serves it to etcd clients
 * @param restorer fills an empty store from a snapshot
 * @param clock the clock of all parts
 */
record Parts(Opener opener, Frontend frontend, Restorer restorer, InstantSource clock) {

  /** Opens a store. */
  @FunctionalInterface
  interface Opener {
    Store open(SqlOptions options, InstantSource clock, StoreMetrics metrics) throws OpenException;
  }

  /** Fills an empty store. */
  @FunctionalInterface
  interface Restorer {
    /** Answers the revision that the store is at afterwards. */
    long restore(Path snapshot, SqlOptions options, Restore.From from) throws OpenException;
  }

  /** Serves a store to etcd clients. */
  @FunctionalInterface
  interface Frontend {
    /** Begins to serve; what fails is closed again. */
    Serving serve(Store store, Settings settings) throws IOException;
  }

  /** A frontend that serves. */
  interface Serving extends AutoCloseable {
    /** The port; -1 for a unix socket. */
    int port();

    /** The names of etcd's alarms that are set. */
    List<String> alarms();

    /** Takes no more calls, and gives those in flight a time to end. */
    @Override
    void close();
  }

  /**
   * How to serve.
   *
   * @param tls null for plain text
   * @param grpc counts calls
   * @param gc whether garbage is collected
   * @param gcAdopt whether what had lost its owners before goes as well
   */
  record Settings(
      Address listen,
      @Nullable SslContext tls,
      MemoryBudget budget,
      int maxRequestBytes,
      int maxTxnOps,
      long quotaBytes,
      String name,
      List<String> clientUrls,
      Duration progressInterval,
      GrpcMetrics grpc,
      Metrics metrics,
      InstantSource clock,
      Mode gc,
      boolean gcAdopt) {}
}
