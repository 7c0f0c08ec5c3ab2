package io.harikube.e2e;

import java.nio.file.Path;
import java.util.Locale;

/**
 * `make node`: a node until its input ends or Ctrl-C, for whoever wants to look at it, or to run
 * other tests on it.
 */
public final class Main {
  private Main() {}

  /**
   * Starts a node and prints its kubeconfig.
   *
   * @param arguments the folder that it keeps, sqlite or postgres for the store below it, and then
   *     archives of images to load
   */
  public static void main(String[] arguments) throws Exception {
    LocalNode node =
        LocalNode.start(
            Path.of(arguments[0]).toAbsolutePath(),
            LocalNode.Database.valueOf(arguments[1].toUpperCase(Locale.ROOT)));
    Runtime.getRuntime().addShutdownHook(new Thread(node::close));
    for (int i = 2; i < arguments.length; i++) {
      node.load(Path.of(arguments[i]).toAbsolutePath());
    }
    System.out.println(node.kubeconfig());
    while (System.in.read() >= 0) {
      // Until it ends.
    }
    System.exit(0);
  }
}
