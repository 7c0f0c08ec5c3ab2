package io.harikube.cli;

import io.harikube.ops.Version;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code harikube version}. */
@Command(name = "version", description = "Print the version.")
final class VersionCommand implements Callable<Integer> {
  @Spec CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() {
    spec.commandLine()
        .getOut()
        .println(
            "harikube "
                + Version.HARIKUBE
                + " (etcd "
                + Version.ETCD
                + ", Java "
                + Runtime.version()
                + ")");
    return 0;
  }
}
