package io.harikube.e2e;

import io.fabric8.kubernetes.client.KubernetesClient;
import java.nio.file.Path;

/**
 * A host: a Kubernetes cluster of one node that pods run on, with a default StorageClass and DNS.
 */
public interface Cluster extends AutoCloseable {
  /** A kubeconfig for its administrator. */
  Path kubeconfig();

  /** A client for its administrator. It is the cluster's own, and is not to be closed. */
  KubernetesClient client();

  /** Brings the images of an OCI archive to the node, under the names that they have in it. */
  void load(Path archive);

  /** An address of the machine that the test runs on which pods reach. */
  String outsideAddress();

  /** Where logs are kept if something fails. */
  Path logs();

  /** Ends it, and leaves nothing of it behind but its logs. */
  @Override
  void close();
}
