// Package controlplane runs a Kubernetes control plane on this machine: a store, kube-apiserver and
// kube-controller-manager, as ordinary processes with certificates made on the spot.
//
// `make run` and the end-to-end tests share it, so that what the tests check is what a user starts.
// Everything that must outlive a restart is in one data folder; a second start on the same folder
// continues with the same data, certificates and service-account key.
package controlplane

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// defaultPort is Kubernetes' usual one.
const defaultPort = 6443

// Config says what to run and where.
type Config struct {
	Bin   string // folder of the programs
	Data  string // folder for everything that must survive; made if missing
	Port  int    // where the API server listens, on 127.0.0.1; 0: 6443 or the next free one
	Store Store  // what keeps the API server's data
	// Log is told in one line what happens: which port is taken, each component as it gets ready.
	Log func(line string)

	// For tests:
	APIServer             string   // its program; "" is kube-apiserver
	APIServerArgs         []string // come after ours, and the last one of a name counts
	NoControllerManager   bool
	ControllerManager     string   // its program; "" is kube-controller-manager
	ControllerManagerArgs []string // come after ours
	// Prepare is called when the API server is ready, before the controller manager is started: that looks for new kinds
	// when it starts, and every 30 seconds.
	Prepare func(*ControlPlane) error
}

// ControlPlane is a running one. Stop may be called again.
type ControlPlane struct {
	Kubeconfig string // path; its user is a cluster administrator
	URL        string // of the API server
	StoreURL   string

	managerURL string
	// metricsAddress is where HariKube has its metrics.
	metricsAddress string

	config    Config
	store     component
	crashes   int
	lock      *os.File
	processes []*process    // in the order they were started
	exits     chan *process // every process as it exits, asked to or not
	pki       pki
}

// Start returns when every component is ready, or with an error that shows what a component said
// last; nothing it started is left running then.
func Start(ctx context.Context, config Config) (*ControlPlane, error) {
	for _, folder := range []*string{&config.Bin, &config.Data} {
		path, err := filepath.Abs(*folder)
		if err != nil {
			return nil, err
		}
		*folder = path
	}
	lock, err := lockFolder(config.Data)
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{
		Kubeconfig: filepath.Join(config.Data, "kubeconfig"),
		config:     config,
		lock:       lock,
		exits:      make(chan *process, 3),
	}
	if c.config.Port, err = c.choosePort(); err != nil {
		_ = lock.Close()
		return nil, err
	}
	config.Log("Data, certificates and logs are in " + config.Data)
	if err := c.start(ctx); err != nil {
		c.Stop(context.Background())
		return nil, err
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context) error {
	var err error
	if c.pki, err = openPKI(filepath.Join(c.config.Data, "pki")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.config.Data, "log"), 0o700); err != nil {
		return err
	}
	store, err := c.startStore(ctx)
	if err != nil {
		return err
	}
	c.StoreURL = "https://" + store
	if err := c.startAPIServer(ctx, store); err != nil {
		return err
	}
	if c.config.Prepare != nil {
		if err := c.config.Prepare(c); err != nil {
			return err
		}
	}
	if c.config.NoControllerManager {
		return nil
	}
	return c.startControllerManager(ctx)
}

func (c *ControlPlane) startStore(ctx context.Context) (address string, err error) {
	port, err := FreePort()
	if err != nil {
		return "", err
	}
	metricsPort, err := FreePort()
	if err != nil {
		return "", err
	}
	address = fmt.Sprintf("127.0.0.1:%d", port)
	c.metricsAddress = fmt.Sprintf("127.0.0.1:%d", metricsPort)
	c.store = c.storeAt(address, c.metricsAddress)
	return address, c.startProcess(ctx, c.store)
}

// storeAt is a server of the control plane's store.
func (c *ControlPlane) storeAt(address, metricsAddress string) component {
	store := c.config.Store.command(serving{
		data:           c.config.Data,
		address:        address,
		metricsAddress: metricsAddress,
		clientCA:       c.pki.path("ca.crt"),
		cert:           c.pki.path("store.crt"),
		key:            c.pki.path("store.key"),
	})
	// A client's own question, over the certificates that the API server will use. `endpoint health` also
	// asks for alarms, which kine does not know.
	health := func(ctx context.Context) error {
		return runProgram(ctx, filepath.Join(c.config.Bin, "etcdctl"), "--endpoints=https://"+address, "--cacert="+c.pki.path("ca.crt"),
			"--cert="+c.pki.path("store-client.crt"), "--key="+c.pki.path("store-client.key"),
			"--command-timeout=2s", "get", "/registry/health")
	}
	return component{store, "https://" + address, health}
}

// OnHariKube are the flags that make an API server one for HariKube, here and in the manifests.
var OnHariKube = []string{
	"--watch-cache=false",
	// What manifests/skip-controller-manager-metadata-caching.yaml needs before 1.36; and the estimate would keep the size of
	// every object in memory.
	"--feature-gates=MutatingAdmissionPolicy=true,SizeBasedListCostEstimate=false",
	"--runtime-config=admissionregistration.k8s.io/v1beta1=true",
}

func (c *ControlPlane) startAPIServer(ctx context.Context, store string) error {
	url := fmt.Sprintf("https://127.0.0.1:%d", c.config.Port)
	c.URL = url
	err := c.pki.writeKubeconfig(c.Kubeconfig, url, "admin")
	if err != nil {
		return err
	}
	server := command{program: cmp.Or(c.config.APIServer, "kube-apiserver"), args: slices.Concat([]string{
		"--etcd-servers=https://" + store,
		"--etcd-cafile=" + c.pki.path("ca.crt"),
		"--etcd-certfile=" + c.pki.path("store-client.crt"),
		"--etcd-keyfile=" + c.pki.path("store-client.key"),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.config.Port),
		"--tls-cert-file=" + c.pki.path("apiserver.crt"),
		"--tls-private-key-file=" + c.pki.path("apiserver.key"),
		"--client-ca-file=" + c.pki.path("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki.path("service-account.key"),
		"--service-account-signing-key-file=" + c.pki.path("service-account.key"),
		"--service-cluster-ip-range=" + serviceRange,
		// There is nothing behind the kubernetes service here, and the reconciler's lease would
		// delay every shutdown.
		"--endpoint-reconciler-type=none",
	}, OnHariKube, c.config.APIServerArgs)}
	if c.config.APIServer == "" && os.Getenv("GOGC") == "" {
		// Its heap does not grow with the objects: twice the garbage between two collections is a constant.
		server.env = append(server.env, "GOGC=200")
	}
	return c.startProcess(ctx, component{server, url, c.pki.probe(url + "/readyz")})
}

func (c *ControlPlane) startControllerManager(ctx context.Context) error {
	kubeconfig := filepath.Join(c.config.Data, "controller-manager.kubeconfig")
	server := fmt.Sprintf("https://127.0.0.1:%d", c.config.Port)
	if err := c.pki.writeKubeconfig(kubeconfig, server, "controller-manager"); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	url := fmt.Sprintf("https://127.0.0.1:%d", port)
	c.managerURL = url
	healthy := c.pki.probe(url + "/healthz")
	// It is healthy before it has done anything; until this object exists no Pod can be created.
	hasWorked := c.pki.probe(server + "/api/v1/namespaces/default/serviceaccounts/default")
	ready := func(ctx context.Context) error {
		if err := healthy(ctx); err != nil {
			return err
		}
		return hasWorked(ctx)
	}
	manager := command{program: cmp.Or(c.config.ControllerManager, "kube-controller-manager"), args: slices.Concat([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + c.pki.path("apiserver.crt"),
		"--tls-private-key-file=" + c.pki.path("apiserver.key"),
		"--root-ca-file=" + c.pki.path("ca.crt"),
		"--service-account-private-key-file=" + c.pki.path("service-account.key"),
		"--use-service-account-credentials",
		// Alone on its API server: an election would only delay the next start.
		"--leader-elect=false",
	}, c.config.ControllerManagerArgs)}
	return c.startProcess(ctx, component{manager, url, ready})
}

// component is a program, where it is reached, and what succeeds as soon as it serves there.
type component struct {
	command
	url   string
	probe func(context.Context) error
}

// startProcess starts a program and waits until its probe succeeds.
func (c *ControlPlane) startProcess(ctx context.Context, component component) error {
	began := time.Now()
	name := filepath.Base(component.program)
	p, err := c.launch(component, name+".log")
	if err != nil {
		return err
	}
	c.processes = append(c.processes, p)
	if err := p.await(ctx, component.probe); err != nil {
		return err
	}
	c.config.Log(fmt.Sprintf("%-24s ready after %4.1f s at %s", name, time.Since(began).Seconds(), component.url))
	return nil
}

func (c *ControlPlane) launch(component component, log string) (*process, error) {
	p, err := startProcess(c.config.Bin, component.command, filepath.Join(c.config.Data, "log", log), c.exits)
	if err != nil {
		return nil, fmt.Errorf("%s does not start: %w", filepath.Base(component.program), err)
	}
	return p, nil
}

// CrashStore kills the store, and returns when another one serves at the same address from the same data. Not to be
// called by several goroutines, nor beside Wait.
func (c *ControlPlane) CrashStore(ctx context.Context) error {
	c.processes[0].kill()
	<-c.exits
	c.crashes++
	p, err := c.launch(c.store, fmt.Sprintf("%s-%d.log", c.processes[0].name, c.crashes))
	if err != nil {
		return err
	}
	c.processes[0] = p
	return p.await(ctx, c.store.probe)
}

// TakeStoreOver has another server take the database of the store over, at an address that nobody knows, kills it when it
// serves, and returns when one serves again where it did before. To be called as CrashStore is.
func (c *ControlPlane) TakeStoreOver(ctx context.Context) error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	metricsPort, err := FreePort()
	if err != nil {
		return err
	}
	c.crashes++
	other := c.storeAt(fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", metricsPort))
	p, err := c.launch(other, fmt.Sprintf("%s-%d-other.log", c.processes[0].name, c.crashes))
	if err != nil {
		return err
	}
	err = p.await(ctx, other.probe)
	if err == nil {
		select {
		case <-c.processes[0].done: // it notices by itself
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	p.kill()
	<-c.exits
	if err != nil {
		return err
	}
	return c.CrashStore(ctx)
}

// Process is a component as the system sees it.
type Process struct {
	PID int
	URL string // where it serves its profiles; "" if it has none
}

// Process returns kube-apiserver, kube-controller-manager, or the store.
func (c *ControlPlane) Process(name string) (Process, error) {
	for i, p := range c.processes {
		switch {
		case name == "store" && i == 0:
			return Process{PID: p.cmd.Process.Pid}, nil
		case p.name == name && name == "kube-apiserver":
			return Process{PID: p.cmd.Process.Pid, URL: c.URL}, nil
		case p.name == name:
			return Process{PID: p.cmd.Process.Pid, URL: c.managerURL}, nil
		}
	}
	return Process{}, fmt.Errorf("no %s is running", name)
}

// Client returns a client of the API server, as administrator.
func (c *ControlPlane) Client() (*http.Client, error) {
	config, err := c.pki.clientConfig("admin")
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}, nil
}

// StoreConfig is how the API server logs in at its store.
func (c *ControlPlane) StoreConfig() (*tls.Config, error) {
	return c.pki.clientConfig("store-client")
}

// StoreMetric is a metric of HariKube without labels.
func (c *ControlPlane) StoreMetric(ctx context.Context, name string) (float64, error) {
	config, err := c.StoreConfig()
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	text, err := Metrics(ctx, client, "https://"+c.metricsAddress)
	if err != nil {
		return 0, err
	}
	return SumOf(text, name)
}

// Wait returns nil when ctx ends, and an error as soon as a component exits on its own.
func (c *ControlPlane) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case p := <-c.exits:
		return p.exitError()
	}
}

// Stop stops the components in the reverse of their order: an API server whose store is gone does not
// stop when asked. A component that takes too long, or any still running when ctx ends, is killed.
func (c *ControlPlane) Stop(ctx context.Context) {
	for i := len(c.processes) - 1; i >= 0; i-- {
		c.processes[i].stop(ctx)
	}
	_ = c.lock.Close()
}
