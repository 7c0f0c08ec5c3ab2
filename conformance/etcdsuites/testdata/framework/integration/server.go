package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	cryptotls "crypto/tls"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/testutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/storage"
)

const (
	startWithin = time.Minute
	stopWithin  = 20 * time.Second
	logShown    = 4 << 10

	emptySQLite   = 32 << 10
	emptyPostgres = 8_000_000
)

// server is the process of a cluster, on a store of its own. It keeps its store when it is started
// again. Not safe for concurrent use, but for Dial.
type server struct {
	config  *ClusterConfig
	folder  string // of its data and its log
	address string // of the API: host:port
	metrics string // of metrics and health: host:port
	opened  int    // members that run
	process *exec.Cmd
}

// manner is how a process is ended.
type manner syscall.Signal

const (
	stopInOrder = manner(syscall.SIGTERM)
	stopAtOnce  = manner(syscall.SIGKILL)
)

// newServer returns the server of a cluster; it may run already.
func newServer(t testutil.TB, cfg *ClusterConfig) *server {
	s, err := spares.take(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Dial connects a member's door with the server.
func (s *server) Dial() (net.Conn, error) { return net.Dial("tcp", s.address) }

// open counts a member that starts, and returns when the server answers.
func (s *server) open(cfg config.ServerConfig) error {
	// A test may change the quota of a member that it stops and starts.
	if s.process != nil && cfg.QuotaBackendBytes != s.config.QuotaBackendBytes {
		s.end(stopInOrder)
	}
	if s.process == nil {
		s.config.QuotaBackendBytes = cfg.QuotaBackendBytes
		if err := s.start(); err != nil {
			return err
		}
	} else if s.opened > 0 {
		s.opened++
		return nil
	}
	if err := s.waitUntilReady(); err != nil {
		return err
	}
	s.opened++
	return nil
}

// close counts a member that stops, and ends the process with the last one.
func (s *server) close(how manner) {
	s.opened--
	if s.opened > 0 || s.process == nil {
		return
	}
	s.end(how)
}

func (s *server) end(how manner) {
	group := -s.process.Process.Pid
	syscall.Kill(group, syscall.Signal(how))
	late := time.AfterFunc(stopWithin, func() { syscall.Kill(group, syscall.SIGKILL) })
	s.process.Wait()
	late.Stop()
	s.process = nil
}

// start starts the process and does not wait for it. It leaves no goroutine behind: tests look for
// those that a server inside of their process would leave.
func (s *server) start() error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	if s.address == "" {
		s.address, s.metrics = freeAddress(), freeAddress()
	}
	process := exec.Command(environment("ETCD_SUITES_SERVER"), s.flags()...)
	process.Stdout, process.Stderr = log, log
	// A group of its own, to be ended as a whole. It does not outlive the tests, however they end.
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return err
	}
	s.process = process
	return nil
}

func (s *server) flags() []string {
	if environment("ETCD_SUITES_STORE") == "etcd" {
		return s.etcdFlags()
	}
	return s.harikubeFlags()
}

func (s *server) harikubeFlags() []string {
	flags := []string{
		"server",
		"--endpoint=" + s.endpoint(),
		"--listen-address=" + s.address,
		"--metrics-bind-address=" + s.metrics,
		"--metrics-ignore-tls-config",
		"--name=m0",
	}
	add := func(name string, value any, set bool) {
		if set {
			flags = append(flags, fmt.Sprintf("--%s=%v", name, value))
		}
	}
	c := s.config
	add("max-txn-ops", c.MaxTxnOps, c.MaxTxnOps > 0)
	add("max-request-bytes", c.MaxRequestBytes, c.MaxRequestBytes > 0)
	add("watch-progress-notify-interval", c.WatchProgressNotifyInterval, c.WatchProgressNotifyInterval > 0)
	add("quota-backend-bytes", s.quota(), c.QuotaBackendBytes >= 0)
	if tls := c.ClientTLS; tls != nil {
		add("server-cert-file", tls.CertFile, true)
		add("server-key-file", tls.KeyFile, true)
		add("trusted-ca-file", tls.TrustedCAFile, tls.ClientCertAuth)
	}
	return flags
}

// quota is etcd's default if a test does not choose. A choice of some pages is about what an empty
// store takes, which is more for a SQL database than for etcd.
func (s *server) quota() int64 {
	const pages = 1 << 20
	switch q := s.config.QuotaBackendBytes; {
	case q == 0:
		return storage.DefaultQuotaBytes
	case q < pages && environment("ETCD_SUITES_STORE") == "sqlite":
		return q + emptySQLite
	case q < 100*pages && environment("ETCD_SUITES_STORE") == "postgres":
		return q + emptyPostgres
	default:
		return q
	}
}

func (s *server) etcdFlags() []string {
	const peer = "http://127.0.0.1:0" // alone in its cluster: any free port
	scheme := "http://"
	if s.config.ClientTLS != nil {
		scheme = "https://"
	}
	flags := []string{
		"--name=m0",
		"--data-dir=" + filepath.Join(s.folder, "etcd"),
		"--listen-client-urls=" + scheme + s.address,
		"--advertise-client-urls=" + scheme + s.address,
		"--listen-metrics-urls=http://" + s.metrics,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=m0=" + peer,
		"--log-level=warn",
	}
	add := func(name string, value any, set bool) {
		if set {
			flags = append(flags, fmt.Sprintf("--%s=%v", name, value))
		}
	}
	c := s.config
	add("max-txn-ops", c.MaxTxnOps, c.MaxTxnOps > 0)
	add("max-request-bytes", c.MaxRequestBytes, c.MaxRequestBytes > 0)
	add("quota-backend-bytes", c.QuotaBackendBytes, c.QuotaBackendBytes > 0)
	add("snapshot-count", c.SnapshotCount, c.SnapshotCount > 0)
	add("backend-batch-interval", c.BackendBatchInterval, c.BackendBatchInterval > 0)
	add("grpc-keepalive-min-time", c.GRPCKeepAliveMinTime, c.GRPCKeepAliveMinTime > 0)
	add("grpc-keepalive-interval", c.GRPCKeepAliveInterval, c.GRPCKeepAliveInterval > 0)
	add("grpc-keepalive-timeout", c.GRPCKeepAliveTimeout, c.GRPCKeepAliveTimeout > 0)
	add("watch-progress-notify-interval", c.WatchProgressNotifyInterval, c.WatchProgressNotifyInterval > 0)
	add("feature-gates", fmt.Sprintf("LeaseCheckpoint=%v,LeaseCheckpointPersist=%v",
		c.EnableLeaseCheckpoint, c.LeaseCheckpointPersist), c.EnableLeaseCheckpoint)
	if tls := c.ClientTLS; tls != nil {
		add("cert-file", tls.CertFile, true)
		add("key-file", tls.KeyFile, true)
		add("trusted-ca-file", tls.TrustedCAFile, true)
		add("client-cert-auth", tls.ClientCertAuth, true)
		var suites []string
		for _, id := range tls.CipherSuites {
			suites = append(suites, cryptotls.CipherSuiteName(id))
		}
		add("cipher-suites", strings.Join(suites, ","), len(suites) > 0)
		versions := map[uint16]string{cryptotls.VersionTLS12: "TLS1.2", cryptotls.VersionTLS13: "TLS1.3"}
		add("tls-min-version", versions[tls.MinVersion], tls.MinVersion > 0)
		add("tls-max-version", versions[tls.MaxVersion], tls.MaxVersion > 0)
	}
	return flags
}

// endpoint is a SQLite file in the server's folder, or a database that the server makes and the runner
// drops.
func (s *server) endpoint() string {
	if environment("ETCD_SUITES_STORE") == "sqlite" {
		return "sqlite://" + filepath.Join(s.folder, "harikube.db")
	}
	endpoint, err := url.Parse(environment("HARIKUBE_TEST_POSTGRES"))
	if err != nil {
		panic(err)
	}
	endpoint.Path = "/" + environment("ETCD_SUITES_DATABASES") + filepath.Base(s.folder)
	return endpoint.String()
}

// waitUntilReady returns when the server listens, and has answered if it can be asked without a
// certificate. It asks for no health: some tests count who did.
func (s *server) waitUntilReady() error {
	deadline := time.Now().Add(startWithin)
	for {
		if listens(s.address) && listens(s.metrics) {
			return s.warmUp()
		}
		var status syscall.WaitStatus
		if pid, _ := syscall.Wait4(s.process.Process.Pid, &status, syscall.WNOHANG, nil); pid > 0 {
			return fmt.Errorf("the server ended while it started: %v\n%s", status.ExitStatus(), s.logTail())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server took more than %v to start\n%s", startWithin, s.logTail())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func listens(address string) bool {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

// warmUp runs what changes nothing a few times: the first requests of a process load its code, which
// tests that measure time do not expect.
func (s *server) warmUp() error {
	if s.config.ClientTLS != nil {
		return nil
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.address}})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for range 20 {
		never := clientv3.Compare(clientv3.ModRevision("warm-up"), ">", 0)
		_, err := client.Txn(ctx).If(never).Then(clientv3.OpPut("warm-up", "")).Else(clientv3.OpGet("warm-up")).Commit()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, s.logTail())
		}
	}
	return nil
}

func (s *server) log() string {
	return filepath.Join(environment("ETCD_SUITES_LOGS"), filepath.Base(s.folder)+".log")
}

func (s *server) logTail() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	if len(text) > logShown {
		text = text[len(text)-logShown:]
	}
	return string(bytes.TrimSpace(text))
}

// freeAddress is below the ports that the kernel gives to clients, so that it stays free until the
// server takes it.
func freeAddress() string {
	for {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+mathrand.IntN(20_000)))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
}

// usualInterval is the one of progress notifications that tests begin with.
var usualInterval = v3rpc.GetProgressReportInterval()

// spares are servers in their default configuration that start while earlier tests run.
var spares pool

type pool struct {
	mu    sync.Mutex
	ready []*server
}

// take returns a server that runs if the configuration has nothing of its own to say to it.
func (p *pool) take(cfg *ClusterConfig) (*server, error) {
	own := *cfg
	// Tests also set it where etcd's server, inside of their process, would look.
	if interval := v3rpc.GetProgressReportInterval(); own.WatchProgressNotifyInterval == 0 && interval != usualInterval {
		own.WatchProgressNotifyInterval = interval
	}
	s := &server{config: &own}
	if len(s.flags()) > len((&server{config: &ClusterConfig{}}).flags()) {
		return s, s.makeFolder()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ahead, err := strconv.Atoi(environment("ETCD_SUITES_SPARES"))
	if err != nil {
		return nil, err
	}
	for len(p.ready) <= ahead {
		spare := &server{config: &ClusterConfig{}}
		if err := spare.makeFolder(); err != nil {
			return nil, err
		}
		if err := spare.start(); err != nil {
			return nil, err
		}
		p.ready = append(p.ready, spare)
	}
	s = p.ready[0]
	p.ready = p.ready[1:]
	s.config = &own
	return s, nil
}

// makeFolder makes a folder that outlives the test: a spare is older than the test that it is for.
func (s *server) makeFolder() error {
	s.folder = filepath.Join(environment("ETCD_SUITES_DATA"), strings.ToLower(rand.Text()[:10]))
	return os.MkdirAll(s.folder, 0o700)
}
