package io.harikube.e2e;

import java.nio.file.Path;

/**
 * `make node`: a node until its input ends or Ctrl-C, for whoever wants to look at it, or to run
 * other tests on it.
 */
public final class Main {
  private Main() {}

  /**
   * Starts a node and prints its kubeconfig.
   *
   * @param arguments the folder that it keeps, the endpoint of its store if it is not SQLite there,
   *     and then archives of images to load
   */
  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]).toAbsolutePath();
    LocalNode node =
        LocalNode.start(
            folder, arguments.length > 1 && !arguments[1].isEmpty() ? arguments[1] : null);
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
