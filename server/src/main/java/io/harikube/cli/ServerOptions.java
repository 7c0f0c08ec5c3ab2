package io.harikube.cli;

import io.harikube.gc.Mode;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/**
 * The options of the server. Names, defaults and meanings are kine's where kine has the option, so
 * that its manifests work here.
 */
@SuppressWarnings("NullAway.Init") // picocli sets what has a default
final class ServerOptions {
  @Option(
      names = "--listen-address",
      paramLabel = "<address>",
      defaultValue = "0.0.0.0:2379",
      description = "Where etcd clients connect: host:port or unix:///path.")
  String listenAddress;

  @Mixin DatastoreOptions datastore = new DatastoreOptions();

  @Option(
      names = "--owner-file",
      paramLabel = "<file>",
      description =
          "A file that keeps which store was used last; the server refuses to go on with another one,"
              + " or with an empty one.")
  @Nullable Path ownerFile;

  @Option(
      names = "--accept-store",
      description = "Go on with whatever store is found, and keep that one in --owner-file.")
  boolean acceptStore;

  @Option(
      names = "--server-cert-file",
      paramLabel = "<file>",
      description = "The certificate that etcd clients are shown, with its chain.")
  @Nullable Path serverCertFile;

  @Option(
      names = "--server-key-file",
      paramLabel = "<file>",
      description = "The private key of --server-cert-file.")
  @Nullable Path serverKeyFile;

  @Option(
      names = "--trusted-ca-file",
      paramLabel = "<file>",
      description = "Authorities; clients have to present a certificate of one of them.")
  @Nullable Path trustedCaFile;

  @Option(
      names = "--name",
      paramLabel = "<name>",
      defaultValue = "default",
      description = "The name that the member list shows.")
  String name;

  @Option(
      names = "--advertise-client-urls",
      paramLabel = "<urls>",
      description =
          "The URLs that the member list shows, separated by commas. By default localhost with the"
              + " port of --listen-address.")
  @Nullable String advertiseClientUrls;

  @Option(
      names = "--metrics-bind-address",
      paramLabel = "<address>",
      defaultValue = ":8080",
      description = "Where metrics and health checks are served; 0 for nowhere.")
  String metricsBindAddress;

  @Option(
      names = "--metrics-ignore-tls-config",
      description = "Serve metrics and health checks without TLS even if etcd clients get TLS.")
  boolean metricsIgnoreTlsConfig;

  @Option(
      names = "--log-format",
      paramLabel = "<format>",
      defaultValue = "plain",
      description = "The form of the log: plain or json.")
  Logging.Format logFormat;

  @Option(
      names = "--debug",
      description = "Log more, and the stack trace if the server cannot start.")
  boolean debug;

  @Option(
      names = "--datastore-max-open-connections",
      paramLabel = "<count>",
      defaultValue = "0",
      description = "The most connections to the database; 0 for the store's own choice.")
  int maxOpenConnections;

  @Option(
      names = "--datastore-max-idle-connections",
      paramLabel = "<count>",
      defaultValue = "0",
      description =
          "The most PostgreSQL connections that are kept while idle; 0 for all of them, less than 0"
              + " for none.")
  int maxIdleConnections;

  @Option(
      names = "--datastore-connection-max-lifetime",
      paramLabel = "<duration>",
      defaultValue = "0s",
      converter = GoDuration.class,
      description = "How long a PostgreSQL connection is used at the most; 0 for no limit.")
  Duration connectionMaxLifetime;

  @Option(
      names = "--datastore-connection-max-idle-time",
      paramLabel = "<duration>",
      defaultValue = "2m",
      converter = GoDuration.class,
      description = "After how long an idle PostgreSQL connection is closed; 0 for never.")
  Duration connectionMaxIdleTime;

  @Option(
      names = "--datastore-startup-timeout",
      paramLabel = "<duration>",
      defaultValue = "0s",
      converter = GoDuration.class,
      description =
          "How long a start waits for a PostgreSQL that cannot be reached, or is a standby; 0 for"
              + " not at all.")
  Duration startupTimeout;

  @Option(
      names = "--slow-sql-threshold",
      paramLabel = "<duration>",
      defaultValue = "1s",
      converter = GoDuration.class,
      description = "Statements that take longer are logged and counted; 0 for none.")
  Duration slowSqlThreshold;

  @Option(
      names = "--watch-progress-notify-interval",
      paramLabel = "<duration>",
      defaultValue = "5s",
      converter = GoDuration.class,
      description = "How often idle watches that ask for it are told the revision.")
  Duration progressInterval;

  @Option(
      names = "--compact-interval",
      paramLabel = "<duration>",
      defaultValue = "0s",
      converter = GoDuration.class,
      description = "How often the server compacts by itself; 0 leaves that to the clients.")
  Duration compactInterval;

  @Option(
      names = "--compact-min-retain",
      paramLabel = "<revisions>",
      defaultValue = "1000",
      description = "How many revisions the server's own compaction keeps at least.")
  long compactMinRetain;

  @Option(
      names = "--compact-batch-size",
      paramLabel = "<rows>",
      defaultValue = "500",
      description = "How many rows one step of any compaction looks at.")
  int compactBatchSize;

  @Option(
      names = "--compact-timeout",
      paramLabel = "<duration>",
      defaultValue = "5s",
      converter = GoDuration.class,
      description = "After how long the server's own compaction is logged as slow.")
  Duration compactTimeout;

  @Option(
      names = "--max-request-bytes",
      paramLabel = "<bytes>",
      defaultValue = "1572864",
      description = "The largest request that changes something.")
  int maxRequestBytes;

  @Option(
      names = "--max-txn-ops",
      paramLabel = "<count>",
      defaultValue = "128",
      description = "The most operations of one transaction.")
  int maxTxnOps;

  @Option(
      names = "--quota-backend-bytes",
      paramLabel = "<bytes>",
      defaultValue = "0",
      description =
          "The size that the database may reach: what adds to it is refused then, until a client"
              + " clears the alarm. 0 for no limit.")
  long quotaBackendBytes;

  @Option(
      names = "--max-answer-bytes",
      paramLabel = "<bytes>",
      defaultValue = "0",
      description =
          "The memory that all answers in flight may take together; 0 for 40 %% of the heap.")
  long maxAnswerBytes;

  @Option(
      names = "--gc",
      paramLabel = "<mode>",
      defaultValue = "on",
      converter = GcMode.class,
      description =
          "Whether objects that are hidden from kube-controller-manager are garbage collected here: on,"
              + " dry-run (it is logged what would be deleted) or off.")
  Mode gc;

  @Option(
      names = "--gc-adopt",
      description =
          "At the first start with --gc=on, also delete what had lost its owners before: otherwise"
              + " that is reported and kept.")
  boolean gcAdopt;

  /** The names of the modes. */
  static final class GcMode implements ITypeConverter<Mode> {
    @Override
    public Mode convert(String value) {
      return switch (value) {
        case "on" -> Mode.ON;
        case "dry-run" -> Mode.DRY_RUN;
        case "off" -> Mode.OFF;
        default -> throw new TypeConversionException("'" + value + "' is not on, dry-run or off");
      };
    }
  }
}
