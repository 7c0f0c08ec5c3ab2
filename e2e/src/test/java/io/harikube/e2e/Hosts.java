package io.harikube.e2e;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * Gives the tests a host, which is started for the first and ends after the last: a node of its
 * own, or k3s with the system property {@code harikube.cluster=k3s}, where a test that takes a
 * {@link LocalNode} is skipped. {@code harikube.store=postgres} is the store below a node.
 */
final class Hosts implements ParameterResolver, ExecutionCondition {
  private static final ExtensionContext.Namespace OURS =
      ExtensionContext.Namespace.create(Hosts.class);
  private static final boolean ON_K3S =
      switch (Objects.requireNonNullElse(System.getProperty("harikube.cluster"), "node")) {
        case "node" -> false;
        case "k3s" -> true;
        default -> throw new IllegalArgumentException("harikube.cluster is node or k3s");
      };

  private static final LocalNode.Database DATABASE =
      LocalNode.Database.valueOf(
          Objects.requireNonNullElse(System.getProperty("harikube.store"), "sqlite")
              .toUpperCase(Locale.ROOT));

  /** The folder that the hosts and their users keep what they have in. */
  static final Path FOLDER = Artifacts.BUILD.resolve("e2e/work");

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    if (!ON_K3S) {
      return ConditionEvaluationResult.enabled("");
    }
    if (Arrays.stream(context.getRequiredTestClass().getDeclaredConstructors())
        .flatMap(each -> Arrays.stream(each.getParameterTypes()))
        .anyMatch(LocalNode.class::equals)) {
      return ConditionEvaluationResult.disabled("NOT TESTED ON K3S: it is about the node");
    }
    return K3s.obstacle()
        .map(why -> ConditionEvaluationResult.disabled("NOT TESTED ON K3S: " + why))
        .orElse(ConditionEvaluationResult.enabled(""));
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return Cluster.class.isAssignableFrom(parameter.getParameter().getType());
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    return context.getRoot().getStore(OURS).computeIfAbsent("host", key -> start(), Cluster.class);
  }

  private static Cluster start() {
    Cluster host =
        ON_K3S
            ? K3s.start(FOLDER.resolve("k3s"))
            : LocalNode.start(FOLDER.resolve("node"), DATABASE);
    load(host);
    return host;
  }

  /** Gives a host the images that the tests use. */
  static void load(Cluster host) {
    Artifacts.images().forEach(host::load);
    for (String image :
        List.of("vcluster", "coredns", "alpine", "busybox", "workload", "postgres")) {
      host.load(Artifacts.image(image));
    }
  }
}
