// Package testserver takes the place of k8s.io/apiserver/pkg/storage/etcd3/testserver: instead of an
// etcd inside the test process it runs a server in a process of its own, so that the tests meet
// whatever executable STORAGE_TEST_SERVER names. The executable takes etcd's flags.
//
// The names and what they promise to their callers are those of the original.
package testserver

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
)

// NewTestConfig returns the configuration of a server of one test: a free client port, a data
// directory that goes away with the test, everything else etcd's defaults. RunEtcd looks at the URLs
// for clients, the data directory, the certificates of ClientTLSInfo and the progress interval.
func NewTestConfig(t testing.TB) *embed.Config {
	cfg, err := newConfig(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newConfig(dir string) (*embed.Config, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	clientURL := func(host string) []url.URL {
		return []url.URL{{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}}
	}
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.UnsafeNoFsync = true
	cfg.ListenClientUrls = clientURL("127.0.0.1")
	cfg.AdvertiseClientUrls = clientURL("localhost")
	return cfg, nil
}

// given has the ports that have been given away: several servers start at a time, and take theirs late.
var given sync.Map

// freePort looks below the range from which the kernel takes ports for outgoing connections, so that
// no client can take the port before the server does.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if _, before := given.LoadOrStore(port, true); before {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			l.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}

// RunEtcd starts a server on an empty store and returns a client of it; the server ends with the test.
// Without a configuration the server is one that was started ahead.
func RunEtcd(t testing.TB, cfg *embed.Config) *kubernetes.Client {
	t.Helper()

	var s *server
	var err error
	if cfg == nil {
		s, err = spares.take()
	} else {
		s, err = start(cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})

	client, err := connect(s.cfg, zaptest.NewLogger(t, zaptest.Level(zapcore.ErrorLevel)).Named("etcd-client"))
	if err != nil {
		t.Fatal(err)
	}
	record(client)
	return client
}

// server is a child process that answers clients.
type server struct {
	cfg    *embed.Config
	cmd    *exec.Cmd
	output *bytes.Buffer // of the process; to be read when done is closed
	done   chan struct{}
	dir    string // to be removed with the server, if not empty
}

// start returns when the server has answered a read.
func start(cfg *embed.Config) (*server, error) {
	executable := os.Getenv("STORAGE_TEST_SERVER")
	if executable == "" {
		return nil, fmt.Errorf("STORAGE_TEST_SERVER does not name an executable")
	}
	if len(cfg.ListenClientUrls) != 1 {
		return nil, fmt.Errorf("one client URL expected, got %v", cfg.ListenClientUrls)
	}
	args := []string{
		"--data-dir", cfg.Dir,
		"--listen-client-urls", cfg.ListenClientUrls[0].String(),
		"--advertise-client-urls", cfg.AdvertiseClientUrls[0].String(),
		"--listen-peer-urls", "http://127.0.0.1:0",
		"--log-level", "error",
		"--watch-progress-notify-interval", cfg.WatchProgressNotifyInterval.String(),
	}
	if cfg.UnsafeNoFsync {
		args = append(args, "--unsafe-no-fsync")
	}
	for _, f := range []struct{ flag, file string }{
		{"--cert-file", cfg.ClientTLSInfo.CertFile},
		{"--key-file", cfg.ClientTLSInfo.KeyFile},
		{"--trusted-ca-file", cfg.ClientTLSInfo.TrustedCAFile},
	} {
		if f.file != "" {
			args = append(args, f.flag, f.file)
		}
	}

	s := &server{cfg: cfg, cmd: exec.Command(executable, args...), output: &bytes.Buffer{}, done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	// Nothing outlives the test process, however it ends.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	if err := s.waitUntilReady(); err != nil {
		s.cmd.Process.Kill()
		<-s.done
		return nil, fmt.Errorf("%w\n%s", err, s.output)
	}
	return s, nil
}

func (s *server) waitUntilReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		c, err := net.DialTimeout("tcp", s.cfg.ListenClientUrls[0].Host, time.Second)
		if err == nil {
			c.Close()
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.done:
			return fmt.Errorf("the server ended while it started: %v", s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("the server took more than %v to start", startTimeout)
		}
	}
	client, err := connect(s.cfg, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.KV.Get(ctx, "ready"); err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	return warmUp(ctx, client)
}

// warmUp runs what changes nothing a few times: some tests give a server that has just started 100 ms
// for a transaction and a compaction, and the first ones of a process load its code.
func warmUp(ctx context.Context, client *kubernetes.Client) error {
	for range 50 {
		_, err := client.Client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision("ready"), "=", 1)).
			Then(clientv3.OpPut("ready", "")).
			Else(clientv3.OpGet("ready")).
			Commit()
		if err != nil {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
	return nil
}

// stop ends the server and tells whether it had still been running.
func (s *server) stop() error {
	var err error
	select {
	case <-s.done:
		err = fmt.Errorf("the server ended before the test: %v\n%s", s.cmd.ProcessState, s.output)
	default:
		s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(stopTimeout):
			s.cmd.Process.Kill()
			<-s.done
			err = fmt.Errorf("the server did not stop within %v\n%s", stopTimeout, s.output)
		}
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
	return err
}

func connect(cfg *embed.Config, logger *zap.Logger) (*kubernetes.Client, error) {
	tls, err := cfg.ClientTLSInfo.ClientConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.New(clientv3.Config{
		TLS:         tls,
		Endpoints:   []string{cfg.AdvertiseClientUrls[0].String()},
		DialTimeout: 10 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithBlock()},
		Logger:      logger,
	})
}

// spares are servers in their default configuration that start while earlier tests run.
var spares pool

// pool hands out servers in the order in which they were started. STORAGE_TEST_SPARES is how many of
// them start ahead; the first test starts as many.
type pool struct {
	mu    sync.Mutex
	queue chan chan started
}

type started struct {
	server *server
	err    error
}

func (p *pool) take() (*server, error) {
	p.mu.Lock()
	if p.queue == nil {
		ahead, _ := strconv.Atoi(os.Getenv("STORAGE_TEST_SPARES"))
		p.queue = make(chan chan started, ahead+1)
		for range ahead {
			p.startOne()
		}
	}
	p.startOne()
	next := <-p.queue
	p.mu.Unlock()
	s := <-next
	return s.server, s.err
}

func (p *pool) startOne() {
	result := make(chan started, 1)
	p.queue <- result
	go func() {
		dir, err := os.MkdirTemp("", "store")
		if err != nil {
			result <- started{err: err}
			return
		}
		cfg, err := newConfig(dir)
		if err != nil {
			result <- started{err: err}
			return
		}
		s, err := start(cfg)
		if s != nil {
			s.dir = dir
		}
		result <- started{s, err}
	}()
}
