// Package server runs a server of the etcd API for a test: HariKube, or etcd to compare with.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"harikube.io/controlplane"
)

const (
	readyWithin = time.Minute
	stopWithin  = 20 * time.Second
)

// Server is a program at an address that it keeps when it is started again. Not safe for use by
// several goroutines.
type Server struct {
	Address string // host:port
	Ops     string // host:port of metrics and health checks; empty if there are none
	// TLS is for its clients; nil if it has none.
	TLS *tls.Config

	program string
	args    []string
	env     []string
	log     string
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has exited
}

// HariKube starts a server on the database of an endpoint; its log is a file in the folder.
func HariKube(t testing.TB, bin, folder, endpoint string) *Server {
	t.Helper()
	return start(t, hariKube(freeAddress(t), "", bin, folder, endpoint))
}

// Options are what a server is given beside its endpoint.
type Options struct {
	Args []string
	Env  []string // NAME=value, added to the test's own
}

// HariKubeWith is HariKube for a test that looks at its health, too. It is not started yet.
func HariKubeWith(t testing.TB, bin, folder, endpoint string, options Options) *Server {
	t.Helper()
	s := hariKube(freeAddress(t), freeAddress(t), bin, folder, endpoint)
	s.args, s.env = append(s.args, options.Args...), options.Env
	return s
}

func hariKube(address, ops, bin, folder, endpoint string) *Server {
	return &Server{Address: address, Ops: ops, program: filepath.Join(bin, "harikube"), args: []string{
		"server", "--endpoint=" + endpoint, "--listen-address=" + address, "--metrics-bind-address=" + cmp.Or(ops, "0"),
		"--advertise-client-urls=http://" + address,
	}, log: filepath.Join(folder, "harikube.log")}
}

// Etcd starts an etcd with its data and log in the folder.
func Etcd(t testing.TB, bin, folder string) *Server {
	t.Helper()
	address := freeAddress(t)
	const peer = "http://127.0.0.1:0" // alone in its cluster: any free port
	return start(t, &Server{Address: address, program: filepath.Join(bin, "etcd"), args: []string{
		"--data-dir=" + filepath.Join(folder, "etcd"),
		"--listen-client-urls=http://" + address,
		"--advertise-client-urls=http://" + address,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
	}, log: filepath.Join(folder, "etcd.log")})
}

func start(t testing.TB, s *Server) *Server {
	t.Helper()
	t.Cleanup(s.Stop)
	s.Start(t)
	return s
}

// Start starts the program, again if it has ended, and returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.Launch(t)
	s.Ready(t)
}

// Ready returns when the program answers that was launched.
func (s *Server) Ready(t testing.TB) {
	t.Helper()
	client := s.Client(t)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		_, err := client.Get(ctx, "ready")
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			log, _ := os.ReadFile(s.log)
			t.Fatalf("%s does not answer: %v\n%s", s.program, err, log)
		}
	}
}

// Launch starts the program and does not wait for it.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
}

// Run is Launch for those who do not run a test.
func (s *Server) Run() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.program, s.args...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	controlplane.DieWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return nil
}

// Done is closed when the program that was started last has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// ExitCode is that of the program that has ended; -1 if a signal ended it.
func (s *Server) ExitCode() int { return s.cmd.ProcessState.ExitCode() }

// Signal sends a signal to the program.
func (s *Server) Signal(signal syscall.Signal) { _ = s.cmd.Process.Signal(signal) }

// Log is the file that the program writes its log to.
func (s *Server) Log() string { return s.log }

// Runs tells whether the program has not ended.
func (s *Server) Runs() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// Pid is that of the program as it was started last.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill is a crash: it returns when nothing of the program is left.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Stop asks the program to stop, if it runs, and kills it if it takes too long.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopWithin):
		s.Kill()
	}
}

// Client is that of its address, with TLS if the server has it.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	return connect(t, s.Address, s.TLS)
}

// Client returns a client that reconnects at once; to be closed by the caller.
func Client(t testing.TB, address string) *clientv3.Client {
	t.Helper()
	return connect(t, address, nil)
}

func connect(t testing.TB, address string, secure *tls.Config) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{address},
		TLS:       secure,
		Logger:    zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 100 * time.Millisecond},
			MinConnectTimeout: time.Second,
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func freeAddress(t testing.TB) string {
	t.Helper()
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}
