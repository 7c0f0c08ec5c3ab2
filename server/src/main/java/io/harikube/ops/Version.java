package io.harikube.ops;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The versions that this server tells: which etcd it stands in for, and its own. */
public final class Version {
  /** The release of etcd whose behaviour this server has; Kubernetes chooses features by it. */
  public static final String ETCD = "3.6.14";

  /** The version of the cluster's protocol, and of its storage: what a 3.6 cluster has. */
  public static final String CLUSTER = "3.6.0";

  /** HariKube's own version, from the build. */
  public static final String HARIKUBE = own();

  private Version() {}

  private static String own() {
    try (InputStream in = Version.class.getResourceAsStream("version.properties")) {
      Properties properties = new Properties();
      if (in != null) {
        properties.load(in);
      }
      return properties.getProperty("version", "unknown");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
