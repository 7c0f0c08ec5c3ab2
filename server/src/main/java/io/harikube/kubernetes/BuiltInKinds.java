package io.harikube.kubernetes;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * The fields of Kubernetes' own kinds that selectors can ask for, in every version that can be
 * stored, from the field labels that the API server computes ({@code GetAttrs} of the registry's
 * strategies) after it has read the stored form: with its defaults and its conversions. The numbers
 * are those of the generated.proto files.
 *
 * <p>Left out is the label {@code name} of namespaces, volumes and claims, which no request can ask
 * for.
 */
final class BuiltInKinds {
  /** Those that are kept like custom resources, and are none. */
  static final Set<Resource> WITH_A_GROUP =
      Set.of(
          Resource.CUSTOM_RESOURCE_DEFINITIONS,
          Resource.of("apiregistration.k8s.io", "apiservices"));

  private static final Map<String, Map<String, KindFields>> BY_KIND = new HashMap<>();
  private static final Map<String, Set<String>> LABELS_BY_RESOURCE = new HashMap<>();

  static {
    pods();
    core();
    events();
    replicas();
    certificates();
    others();
  }

  private BuiltInKinds() {}

  /** The fields of a kind in a version; none if it has none or is not known. */
  static KindFields fields(String apiVersion, String kind) {
    Map<String, KindFields> versions = BY_KIND.get(kind);
    return versions == null ? KindFields.NONE : versions.getOrDefault(apiVersion, KindFields.NONE);
  }

  /** The field labels of a resource, besides those of metadata. */
  static Set<String> labels(Resource resource) {
    return LABELS_BY_RESOURCE.getOrDefault(resource.path(), Set.of());
  }

  /** The resources that have field labels. */
  static Set<String> paths() {
    return Set.copyOf(LABELS_BY_RESOURCE.keySet());
  }

  private static void pods() {
    KindFields.Builder pod =
        KindFields.builder()
            .string("spec.nodeName", 2, 10)
            .stringOr("Always", "spec.restartPolicy", 2, 3)
            .stringOr("default-scheduler", "spec.schedulerName", 2, 19)
            .bool("spec.hostNetwork", 2, 11)
            .string("status.phase", 3, 1)
            .string("status.nominatedNodeName", 3, 11);
    pod.field(
        "spec.serviceAccountName",
        "",
        pod.place("spec.serviceAccountName", Form.STRING, 2, 8),
        pod.place("spec.serviceAccount", Form.STRING, 2, 9));
    pod.field(
        "status.podIP",
        "",
        pod.place("status.podIP", Form.STRING, 3, 6),
        pod.place("status.podIPs[0].ip", Form.STRING, 3, 12, 1));
    kind("pods", "Pod", pod, "v1");
  }

  private static void core() {
    kind("minions", "Node", KindFields.builder().bool("spec.unschedulable", 2, 4), "v1");
    kind(
        "namespaces",
        "Namespace",
        KindFields.builder().stringOr("Active", "status.phase", 3, 1).labelledWithName(),
        "v1");
    kind("secrets", "Secret", KindFields.builder().stringOr("Opaque", "type", 3), "v1");
    kind(
        "services/specs",
        "Service",
        KindFields.builder()
            .string("spec.clusterIP", 2, 3)
            .stringOr("ClusterIP", "spec.type", 2, 4),
        "v1");
  }

  private static void events() {
    KindFields.Builder core = KindFields.builder().string("reason", 3).string("type", 9);
    involved(core, "involvedObject", 2);
    int component = core.place("reportingComponent", Form.STRING, 14);
    core.field("reportingComponent", "", component);
    core.field("source", "", core.place("source.component", Form.STRING, 5, 1), component);
    kind("events", "Event", core, "v1");

    KindFields.Builder events = KindFields.builder().string("reason", 7).string("type", 11);
    involved(events, "regarding", 8);
    int controller = events.place("reportingController", Form.STRING, 4);
    events.field("reportingComponent", "", controller);
    events.field(
        "source", "", events.place("deprecatedSource.component", Form.STRING, 12, 1), controller);
    kind("events", "Event", events, "events.k8s.io/v1", "events.k8s.io/v1beta1");
  }

  /** The reference of an event, whose labels are those of the core group in either group. */
  private static void involved(KindFields.Builder event, String path, int number) {
    String[] names = {
      "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"
    };
    for (int i = 0; i < names.length; i++) {
      int place = event.place(path + "." + names[i], Form.STRING, number, i + 1);
      event.field("involvedObject." + names[i], "", place);
    }
  }

  private static void replicas() {
    kind(
        "controllers",
        "ReplicationController",
        replicas(KindFields.builder()).templateLabels(2, 3, 1, 11),
        "v1");
    kind("replicasets", "ReplicaSet", replicas(KindFields.builder()), "apps/v1", "apps/v1beta2");
    kind(
        "replicasets",
        "ReplicaSet",
        replicas(KindFields.builder()).templateLabels(2, 3, 1, 11),
        "extensions/v1beta1");
    kind(
        "jobs",
        "Job",
        KindFields.builder()
            .count("status.successful", "status.succeeded", 3, 5)
            .templateLabels(2, 6, 1, 11),
        "batch/v1");
    KindFields.Builder deployment = KindFields.builder().templateLabels(2, 3, 1, 11);
    kind("deployments", "Deployment", deployment, "apps/v1beta1", "extensions/v1beta1");
    KindFields.Builder set = KindFields.builder().templateLabels(2, 3, 1, 11);
    kind("statefulsets", "StatefulSet", set, "apps/v1beta1");
    KindFields.Builder daemon = KindFields.builder().templateLabels(2, 2, 1, 11);
    kind("daemonsets", "DaemonSet", daemon, "extensions/v1beta1");
  }

  private static KindFields.Builder replicas(KindFields.Builder kind) {
    return kind.count("status.replicas", "status.replicas", 3, 1);
  }

  private static void certificates() {
    String group = "certificates.k8s.io/";
    kind(
        "certificatesigningrequests",
        "CertificateSigningRequest",
        KindFields.builder().string("spec.signerName", 2, 7),
        group + "v1");
    // A request without signer gets one that depends on its content.
    KindFields.Builder unsigned = KindFields.builder();
    unsigned.field("spec.signerName", null, unsigned.place("spec.signerName", Form.STRING, 2, 7));
    kind("certificatesigningrequests", "CertificateSigningRequest", unsigned, group + "v1beta1");
    kind(
        "clustertrustbundles",
        "ClusterTrustBundle",
        KindFields.builder().string("spec.signerName", 2, 1),
        group + "v1alpha1",
        group + "v1beta1");
    kind(
        "podcertificaterequests",
        "PodCertificateRequest",
        KindFields.builder()
            .string("spec.signerName", 2, 1)
            .string("spec.podName", 2, 2)
            .string("spec.nodeName", 2, 6),
        group + "v1alpha1",
        group + "v1beta1");
  }

  private static void others() {
    kind(
        "resourceslices",
        "ResourceSlice",
        KindFields.builder().string("spec.nodeName", 2, 3).string("spec.driver", 2, 1),
        "resource.k8s.io/v1",
        "resource.k8s.io/v1beta1",
        "resource.k8s.io/v1beta2");
    kind(
        "leasecandidates",
        "LeaseCandidate",
        KindFields.builder().string("spec.leaseName", 2, 1),
        "coordination.k8s.io/v1alpha2",
        "coordination.k8s.io/v1beta1");
  }

  private static void kind(
      String resource, String kind, KindFields.Builder builder, String... versions) {
    KindFields fields = builder.build();
    for (String version : versions) {
      BY_KIND.computeIfAbsent(kind, k -> new HashMap<>()).put(version, fields);
    }
    LABELS_BY_RESOURCE
        .computeIfAbsent(resource, r -> new LinkedHashSet<>())
        .addAll(fields.labels());
  }
}
