package io.harikube.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.fabric8.kubernetes.api.model.Node;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A node of a machine of its own: Debian's containerd, runc and CNI plugins, and Kubernetes'
 * kubelet, kube-proxy and scheduler. Its control plane is what this project makes: our
 * kube-apiserver and controller manager, on our server.
 */
public final class LocalNode implements Cluster {
  private static final Logger log = LoggerFactory.getLogger(LocalNode.class);
  private static final String SOCKET = "/run/containerd/containerd.sock";
  private static final int API_PORT = 6443;
  private static final Duration TO_BE_READY = Duration.ofMinutes(2);

  /** What database the store below the host has. */
  public enum Database {
    SQLITE,
    /** On the node, with a new one after each restart. */
    POSTGRES
  }

  /** In the order of their start; the first only with PostgreSQL. */
  public enum Part {
    POSTGRES,
    STORE,
    KUBE_APISERVER,
    CONTAINERD,
    KUBE_CONTROLLER_MANAGER,
    KUBE_SCHEDULER,
    KUBELET,
    KUBE_PROXY
  }

  private final Path folder;
  private final Database database;
  private final Map<Part, Program> programs = new LinkedHashMap<>();
  private final long began = System.nanoTime();
  private Machine machine;
  private @Nullable KubernetesClient client;
  private @Nullable Volumes volumes;
  private @Nullable Authority authority;

  private LocalNode(Path folder, Database database) {
    this.folder = folder;
    this.database = database;
    machine = Machine.start(folder);
  }

  /**
   * Starts a node, and waits until it takes pods.
   *
   * @param folder what it keeps; emptied first
   * @param database of the store below the host
   */
  public static LocalNode start(Path folder, Database database) {
    Folders.empty(folder);
    LocalNode node = new LocalNode(folder, database);
    try {
      node.startParts();
      node.setUp();
      return node;
    } catch (RuntimeException e) {
      node.close();
      throw e;
    }
  }

  private void startParts() {
    if (authority == null) {
      authority = issue();
    }
    String endpoint = "sqlite://" + folder.resolve("store/state.db");
    if (database == Database.POSTGRES) {
      endpoint = startPostgres();
    }
    part(Part.STORE, store(endpoint), Map.of(), this::storeServes);
    part(
        Part.KUBE_APISERVER,
        apiServer(),
        Map.of("GOGC", "200"),
        () -> "ok".equals(client().raw("/readyz")));
    part(Part.CONTAINERD, containerd(), Map.of(), () -> !ctr("version").isEmpty());
    part(Part.KUBE_CONTROLLER_MANAGER, controllerManager(), Map.of(), () -> true);
    part(Part.KUBE_SCHEDULER, scheduler(), Map.of(), () -> true);
    ctr("images", "import", Artifacts.image("pause").toString());
    part(Part.KUBELET, kubelet(), Map.of(), this::nodeIsReady);
    part(Part.KUBE_PROXY, kubeProxy(), Map.of(), this::proxies);
  }

  private void setUp() {
    volumes = new Volumes(client(), folder.resolve("volumes"), machine.name());
    load(Artifacts.image("coredns"));
    apply("coredns.yaml");
    client()
        .apps()
        .deployments()
        .inNamespace("kube-system")
        .withName("coredns")
        .waitUntilReady(TO_BE_READY.toSeconds(), java.util.concurrent.TimeUnit.SECONDS);
    log.info("the node is ready after {} s", (System.nanoTime() - began) / 1_000_000_000);
  }

  private void part(
      Part part,
      List<String> command,
      Map<String, String> environment,
      java.util.concurrent.Callable<Boolean> ready) {
    String name = part.name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
    Program program = machine.start(name, environment, command);
    programs.put(part, program);
    program.await(TO_BE_READY, ready);
  }

  private Authority issue() {
    Authority made = new Authority(folder.resolve("pki"));
    List<String> here = List.of("127.0.0.1", machine.address());
    made.issue("store", "CN=store", List.of("localhost"), here);
    made.issue("store-client", "CN=kube-apiserver", List.of(), List.of());
    made.issue(
        "kube-apiserver",
        "CN=kube-apiserver",
        List.of(
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local"),
        List.of("127.0.0.1", machine.address(), machine.services() + ".0.1"));
    made.issue(
        "kubelet-client",
        "O=system:masters,CN=kube-apiserver-kubelet-client",
        List.of(),
        List.of());
    made.issue(
        "kubelet",
        "O=system:nodes,CN=system:node:" + machine.name(),
        List.of(machine.name()),
        here);
    made.issue("front-proxy", "CN=front-proxy", List.of(), List.of());
    made.issue("admin", "O=system:masters,CN=admin", List.of(), List.of());
    for (String name : List.of("kube-controller-manager", "kube-scheduler", "kube-proxy")) {
      made.issue(name, "CN=system:" + name, List.of("localhost"), List.of("127.0.0.1"));
    }
    for (String name :
        List.of("admin", "kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy")) {
      made.kubeconfig(name, apiUrl());
    }
    return made;
  }

  private String apiUrl() {
    return "https://" + machine.address() + ":" + API_PORT;
  }

  /** Answers its endpoint, which is the first line that it prints. */
  private String startPostgres() {
    Path said = logs().resolve("postgres.log");
    part(
        Part.POSTGRES,
        List.of(Artifacts.program("test-postgres")),
        Map.of(),
        () -> Files.readString(said).startsWith("postgres://"));
    try {
      return Files.readAllLines(said).getFirst();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private List<String> store(String endpoint) {
    Authority pki = Objects.requireNonNull(authority);
    return List.of(
        Artifacts.program("harikube"),
        "server",
        "--endpoint=" + endpoint,
        "--listen-address=127.0.0.1:2379",
        "--metrics-bind-address=127.0.0.1:2381",
        "--server-cert-file=" + pki.certificate("store"),
        "--server-key-file=" + pki.key("store"),
        "--trusted-ca-file=" + pki.certificate("ca"));
  }

  private boolean storeServes() {
    Authority pki = Objects.requireNonNull(authority);
    machine.run(
        Artifacts.program("etcdctl"),
        "--endpoints=https://127.0.0.1:2379",
        "--cacert=" + pki.certificate("ca"),
        "--cert=" + pki.certificate("store-client"),
        "--key=" + pki.key("store-client"),
        "--command-timeout=2s",
        "get",
        "/registry/health");
    return true;
  }

  private List<String> apiServer() {
    Authority pki = Objects.requireNonNull(authority);
    return List.of(
        Artifacts.program("kube-apiserver"),
        "--etcd-servers=https://127.0.0.1:2379",
        "--etcd-cafile=" + pki.certificate("ca"),
        "--etcd-certfile=" + pki.certificate("store-client"),
        "--etcd-keyfile=" + pki.key("store-client"),
        "--watch-cache=false",
        "--feature-gates=MutatingAdmissionPolicy=true,SizeBasedListCostEstimate=false",
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        "--bind-address=0.0.0.0",
        "--advertise-address=" + machine.address(),
        "--secure-port=" + API_PORT,
        "--tls-cert-file=" + pki.certificate("kube-apiserver"),
        "--tls-private-key-file=" + pki.key("kube-apiserver"),
        "--client-ca-file=" + pki.certificate("ca"),
        "--requestheader-client-ca-file=" + pki.certificate("ca"),
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--proxy-client-cert-file=" + pki.certificate("front-proxy"),
        "--proxy-client-key-file=" + pki.key("front-proxy"),
        "--kubelet-client-certificate=" + pki.certificate("kubelet-client"),
        "--kubelet-client-key=" + pki.key("kubelet-client"),
        "--kubelet-certificate-authority=" + pki.certificate("ca"),
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-account-key-file=" + pki.certificate("service-account"),
        "--service-account-signing-key-file=" + pki.key("service-account"),
        "--service-cluster-ip-range=" + machine.services() + ".0.0/16");
  }

  private List<String> controllerManager() {
    Authority pki = Objects.requireNonNull(authority);
    return List.of(
        Artifacts.program("kube-controller-manager"),
        "--kubeconfig=" + kubeconfig("kube-controller-manager"),
        "--authentication-kubeconfig=" + kubeconfig("kube-controller-manager"),
        "--authorization-kubeconfig=" + kubeconfig("kube-controller-manager"),
        "--bind-address=127.0.0.1",
        "--tls-cert-file=" + pki.certificate("kube-controller-manager"),
        "--tls-private-key-file=" + pki.key("kube-controller-manager"),
        "--root-ca-file=" + pki.certificate("ca"),
        "--cluster-signing-cert-file=" + pki.certificate("ca"),
        "--cluster-signing-key-file=" + pki.key("ca"),
        "--service-account-private-key-file=" + pki.key("service-account"),
        "--use-service-account-credentials",
        "--leader-elect=false");
  }

  private List<String> scheduler() {
    Authority pki = Objects.requireNonNull(authority);
    return List.of(
        Artifacts.ofNode("kube-scheduler"),
        "--kubeconfig=" + kubeconfig("kube-scheduler"),
        "--authentication-kubeconfig=" + kubeconfig("kube-scheduler"),
        "--authorization-kubeconfig=" + kubeconfig("kube-scheduler"),
        "--bind-address=127.0.0.1",
        "--tls-cert-file=" + pki.certificate("kube-scheduler"),
        "--tls-private-key-file=" + pki.key("kube-scheduler"),
        "--leader-elect=false");
  }

  private List<String> containerd() {
    configure(
        "cni/10-bridge.conflist",
        """
        {"cniVersion": "1.0.0", "name": "e2e", "plugins": [
          {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
           "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
          {"type": "portmap", "capabilities": {"portMappings": true}}
        ]}
        """);
    Path file =
        configure(
            "containerd.toml",
            """
            version = 2
            root = "%s"
            state = "/run/containerd"
            disabled_plugins = [%s]
            [grpc]
              address = "%s"
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "localhost/harikube-e2e/pause:1"
              # A machine of less rights than a node usually has may not lower it.
              restrict_oom_score_adj = true
              [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
                runtime_type = "io.containerd.runc.v2"
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "/usr/lib/cni"
                conf_dir = "%s"
            [plugins."io.containerd.internal.v1.opt"]
              path = "%s"
            """
                .formatted(
                    folder.resolve("containerd"),
                    "\"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.zfs\","
                        + " \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.devmapper\"",
                    SOCKET,
                    folder.resolve("etc/cni"),
                    folder.resolve("opt")));
    return List.of("containerd", "--config", file.toString());
  }

  private List<String> kubelet() {
    Authority pki = Objects.requireNonNull(authority);
    Path file =
        configure(
            "kubelet.yaml",
            """
            apiVersion: kubelet.config.k8s.io/v1beta1
            kind: KubeletConfiguration
            authentication:
              anonymous: {enabled: false}
              webhook: {enabled: true}
              x509: {clientCAFile: %s}
            authorization: {mode: Webhook}
            tlsCertFile: %s
            tlsPrivateKeyFile: %s
            containerRuntimeEndpoint: unix://%s
            cgroupDriver: cgroupfs
            cgroupRoot: /%s
            failCgroupV1: false
            failSwapOn: false
            oomScoreAdj: 0
            clusterDomain: cluster.local
            clusterDNS: [%s.0.10]
            resolvConf: %s
            serializeImagePulls: false
            # The disk of the machine that the test runs on is not the node's to judge.
            evictionHard: {memory.available: 100Mi, nodefs.available: "1%%", imagefs.available: "1%%"}
            imageGCHighThresholdPercent: 100
            imageGCLowThresholdPercent: 99
            nodeStatusUpdateFrequency: 2s
            syncFrequency: 10s
            """
                .formatted(
                    pki.certificate("ca"),
                    pki.certificate("kubelet"),
                    pki.key("kubelet"),
                    SOCKET,
                    machine.name(),
                    machine.services(),
                    configure("resolv.conf", "")));
    return List.of(
        Artifacts.ofNode("kubelet"),
        "--config=" + file,
        "--kubeconfig=" + kubeconfig("kubelet"),
        "--hostname-override=" + machine.name(),
        "--node-ip=" + machine.address(),
        "--v=2");
  }

  private List<String> kubeProxy() {
    Path file =
        configure(
            "kube-proxy.yaml",
            """
            apiVersion: kubeproxy.config.k8s.io/v1alpha1
            kind: KubeProxyConfiguration
            mode: iptables
            clusterCIDR: 10.244.0.0/16
            clientConnection: {kubeconfig: %s}
            hostnameOverride: %s
            oomScoreAdj: 0
            # How many connections are tracked is said for the whole kernel.
            conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
            """
                .formatted(kubeconfig("kube-proxy"), machine.name()));
    return List.of(Artifacts.ofNode("kube-proxy"), "--config=" + file);
  }

  private Path configure(String name, String text) {
    Path file = folder.resolve("etc").resolve(name);
    try {
      Files.createDirectories(file.getParent());
      return Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private boolean nodeIsReady() {
    Node node = client().nodes().withName(machine.name()).get();
    return node != null
        && node.getStatus().getConditions().stream()
            .anyMatch(each -> each.getType().equals("Ready") && each.getStatus().equals("True"));
  }

  /** The Service of the API is reached from outside, too. */
  private boolean proxies() {
    return machine.run("iptables-save", "-t", "nat").contains(machine.services() + ".0.1/32");
  }

  private String ctr(String... command) {
    List<String> all =
        new ArrayList<>(List.of("ctr", "--address", SOCKET, "--namespace", "k8s.io"));
    Collections.addAll(all, command);
    return machine.run(all.toArray(new String[0]));
  }

  private void apply(String resource) {
    try (InputStream in =
        Objects.requireNonNull(LocalNode.class.getResourceAsStream(resource), resource)) {
      String text = new String(in.readAllBytes(), UTF_8).replace("SERVICES", machine.services());
      client().load(new java.io.ByteArrayInputStream(text.getBytes(UTF_8))).serverSideApply();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path kubeconfig(String name) {
    return folder.resolve("pki").resolve(name + ".kubeconfig");
  }

  @Override
  public Path kubeconfig() {
    return kubeconfig("admin");
  }

  @Override
  public KubernetesClient client() {
    KubernetesClient made = client;
    if (made == null) {
      Config config = Config.fromKubeconfig(kubeconfig().toFile());
      config.setClientKeyAlgo("EC"); // Otherwise it is taken for an RSA key.
      made = new KubernetesClientBuilder().withConfig(config).build();
      client = made;
    }
    return made;
  }

  @Override
  public void load(Path archive) {
    ctr("images", "import", "--all-platforms", archive.toString());
  }

  @Override
  public String outsideAddress() {
    return machine.outsideAddress();
  }

  @Override
  public Path logs() {
    return folder.resolve("log");
  }

  /** Runs a program on the node to its end, which must be a success. */
  public String run(String... command) {
    return machine.run(command);
  }

  /** The first process of the only running container of this name, as a number of the node's. */
  public String processOf(String container) {
    List<String> ids =
        ctr(
                "containers",
                "list",
                "--quiet",
                "labels.\"io.kubernetes.container.name\"==" + container)
            .lines()
            .toList();
    List<String> running =
        ctr("tasks", "list")
            .lines()
            .map(each -> each.split(" +", -1))
            .filter(each -> ids.contains(each[0]) && each[2].equals("RUNNING"))
            .map(each -> each[1])
            .toList();
    if (running.size() != 1) {
      throw new IllegalStateException(running.size() + " containers " + container + " run");
    }
    return running.getFirst();
  }

  /** Kills a program of the control plane or of the node, and starts it again. */
  public void crash(Part part) {
    Program program = Objects.requireNonNull(programs.get(part), part.name());
    program.kill();
    program.start();
  }

  /** The power fails, and comes back: everything starts anew from what is on the disk. */
  public void restart() {
    int number = machine.number();
    machine.close();
    programs.clear();
    machine = Machine.start(folder, number);
    startParts();
  }

  @Override
  public void close() {
    if (volumes != null) {
      volumes.close();
    }
    if (client != null) {
      client.close();
    }
    machine.close();
  }
}
