package io.harikube.cli;

import static java.util.Objects.requireNonNull;

import io.harikube.sql.Endpoint;
import io.harikube.sql.OpenException;
import io.harikube.sql.SqlOptions;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
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
      description = "The file that etcdctl snapshot save has written.")
  @Nullable Path snapshot;

  @Mixin DatastoreOptions datastore = new DatastoreOptions();

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
    long revision = parts.restorer().restore(requireNonNull(snapshot), SqlOptions.of(endpoint));
    spec.commandLine().getOut().println("Restored " + endpoint + " to revision " + revision + ".");
    return 0;
  }
}
