package io.harikube.cli;

import static java.util.Objects.requireNonNull;

import io.harikube.sql.Endpoint;
import io.harikube.sql.OpenException;
import io.harikube.sql.Restore;
import io.harikube.sql.SqlOptions;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code harikube restore}. */
@Command(
    name = "restore",
    description = "Fill an empty database from a snapshot of HariKube's.",
    sortOptions = false)
final class RestoreCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "<snapshot>",
      description = "The file that etcdctl snapshot save has written; - for the standard input.")
  @Nullable Path snapshot;

  @Mixin DatastoreOptions datastore = new DatastoreOptions();

  @Option(
      names = "--bump-revision",
      paramLabel = "<revisions>",
      defaultValue = "1000000000",
      description =
          "How far above the snapshot's revision the store goes on, with everything below compacted, so"
              + " that clients of the store from before read anew.")
  long bump = Restore.BUMP;

  @Option(
      names = "--exact",
      description =
          "Restore the snapshot's revision and history as they are: for a copy beside the store, not"
              + " for clients of the store from before.")
  boolean exact;

  @Option(
      names = "--debug",
      description = "Log the stack trace if the snapshot cannot be restored.")
  boolean debug;

  @Spec CommandSpec spec = CommandSpec.create();

  private final Map<String, String> environment;
  private final Parts parts;

  RestoreCommand(Map<String, String> environment, Parts parts) {
    this.environment = environment;
    this.parts = parts;
  }

  @Override
  public Integer call() throws StartException, OpenException {
    Logging.configure(Logging.Format.plain, debug);
    Endpoint endpoint = datastore.endpoint(environment);
    long revision =
        parts.restorer().restore(requireNonNull(snapshot), SqlOptions.of(endpoint), from());
    spec.commandLine().getOut().println("Restored " + endpoint + " to revision " + revision + ".");
    return 0;
  }

  private Restore.From from() {
    if (exact) {
      if (spec.commandLine().getParseResult().hasMatchedOption("--bump-revision")) {
        throw new ParameterException(
            spec.commandLine(), "--exact and --bump-revision exclude each other");
      }
      return new Restore.Exact();
    }
    if (bump < Restore.Bumped.LEAST || bump > Restore.Bumped.MOST) {
      throw new ParameterException(
          spec.commandLine(),
          "--bump-revision must be between "
              + Restore.Bumped.LEAST
              + " and "
              + Restore.Bumped.MOST
              + "; see --exact for a copy that does not go ahead");
    }
    return new Restore.Bumped(bump);
  }
}
