package io.harikube.e2e;

import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.PersistentVolume;
import io.fabric8.kubernetes.api.model.PersistentVolumeBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.storage.StorageClassBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The provisioner of the default StorageClass: a claim gets a folder of the node as a local volume,
 * which is deleted with it.
 */
final class Volumes implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Volumes.class);
  private static final String CLASS = "local";
  private static final String PROVISIONER = "e2e.harikube.io/local";

  private final KubernetesClient client;
  private final Path folder;
  private final String node;
  private final SharedIndexInformer<PersistentVolumeClaim> claims;
  private final SharedIndexInformer<PersistentVolume> volumes;

  Volumes(KubernetesClient client, Path folder, String node) {
    this.client = client;
    this.folder = folder;
    this.node = node;
    client
        .resource(
            new StorageClassBuilder()
                .withNewMetadata()
                .withName(CLASS)
                .addToAnnotations("storageclass.kubernetes.io/is-default-class", "true")
                .endMetadata()
                .withProvisioner(PROVISIONER)
                .withReclaimPolicy("Delete")
                .withVolumeBindingMode("Immediate")
                .build())
        .serverSideApply();
    claims = client.persistentVolumeClaims().inAnyNamespace().inform(handler(this::provision));
    volumes = client.persistentVolumes().inform(handler(this::reclaim));
  }

  private interface Action<T> {
    void on(T object) throws IOException;
  }

  private static <T> ResourceEventHandler<T> handler(Action<T> action) {
    return new ResourceEventHandler<>() {
      @Override
      public void onAdd(T object) {
        try {
          action.on(object);
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }

      @Override
      public void onUpdate(T before, T after) {
        onAdd(after);
      }

      @Override
      public void onDelete(T object, boolean finalStateUnknown) {}
    };
  }

  /** Where a claim's files are. */
  Path of(PersistentVolumeClaim claim) {
    return folder.resolve("pvc-" + claim.getMetadata().getUid());
  }

  private void provision(PersistentVolumeClaim claim) throws IOException {
    if (!CLASS.equals(claim.getSpec().getStorageClassName())
        || claim.getSpec().getVolumeName() != null) {
      return;
    }
    Path place = of(claim);
    Files.createDirectories(place);
    ObjectMeta of = claim.getMetadata();
    log.info("a volume for {}/{}", of.getNamespace(), of.getName());
    client
        .resource(
            new PersistentVolumeBuilder()
                .withNewMetadata()
                .withName(Objects.toString(place.getFileName()))
                .addToAnnotations("pv.kubernetes.io/provisioned-by", PROVISIONER)
                .endMetadata()
                .withNewSpec()
                .withStorageClassName(CLASS)
                .withAccessModes(claim.getSpec().getAccessModes())
                .withCapacity(claim.getSpec().getResources().getRequests())
                .withPersistentVolumeReclaimPolicy("Delete")
                .withNewClaimRef()
                .withNamespace(of.getNamespace())
                .withName(of.getName())
                .withUid(of.getUid())
                .endClaimRef()
                .withNewLocal()
                .withPath(place.toString())
                .endLocal()
                .withNewNodeAffinity()
                .withNewRequired()
                .addNewNodeSelectorTerm()
                .addNewMatchExpression()
                .withKey("kubernetes.io/hostname")
                .withOperator("In")
                .withValues(node)
                .endMatchExpression()
                .endNodeSelectorTerm()
                .endRequired()
                .endNodeAffinity()
                .endSpec()
                .build())
        .serverSideApply();
  }

  private void reclaim(PersistentVolume volume) throws IOException {
    if (!CLASS.equals(volume.getSpec().getStorageClassName())
        || !"Delete".equals(volume.getSpec().getPersistentVolumeReclaimPolicy())
        || volume.getStatus() == null
        || !"Released".equals(volume.getStatus().getPhase())) {
      return;
    }
    Folders.delete(Path.of(volume.getSpec().getLocal().getPath()));
    client.resource(volume).delete();
  }

  @Override
  public void close() {
    claims.close();
    volumes.close();
  }
}
