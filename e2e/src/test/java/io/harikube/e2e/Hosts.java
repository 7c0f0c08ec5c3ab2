package io.harikube.e2e;

import java.nio.file.Path;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/** Gives the tests a host, which is started for the first and ends after the last. */
final class Hosts implements ParameterResolver {
  private static final ExtensionContext.Namespace OURS =
      ExtensionContext.Namespace.create(Hosts.class);

  /** The folder that the hosts and their users keep what they have in. */
  static final Path FOLDER = Artifacts.BUILD.resolve("e2e/work");

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == Cluster.class
        || parameter.getParameter().getType() == LocalNode.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    return context
        .getRoot()
        .getStore(OURS)
        .computeIfAbsent("host", key -> start(), LocalNode.class);
  }

  private static LocalNode start() {
    LocalNode node = LocalNode.start(FOLDER.resolve("node"), null);
    for (Path archive : Artifacts.images()) {
      node.load(archive);
    }
    for (String image : new String[] {"vcluster", "alpine", "busybox", "workload", "postgres"}) {
      node.load(Artifacts.image(image));
    }
    return node;
  }
}
