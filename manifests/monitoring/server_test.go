package monitoring

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

const bin = "../../build/bin"

// server is a harikube that runs until the test ends.
type server struct {
	address, ops string
	command      *exec.Cmd
}

func startSQLite(t *testing.T, args ...string) *server {
	t.Helper()
	return start(t, "sqlite://"+filepath.Join(t.TempDir(), "state.db"), args...)
}

func start(t *testing.T, endpoint string, args ...string) *server {
	t.Helper()
	s := &server{address: free(t), ops: "http://" + free(t)}
	s.command = exec.Command(filepath.Join(bin, "harikube"), append([]string{"server", "--endpoint=" + endpoint,
		"--listen-address=" + s.address, "--metrics-bind-address=" + strings.TrimPrefix(s.ops, "http://")}, args...)...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	s.command.Stderr = log
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	for end := time.Now().Add(3 * time.Minute); ; {
		response, err := http.Get(s.ops + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("the server does not get ready: %v\n%s", err, said)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// stop kills it; it may be called again.
func (s *server) stop() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func (s *server) etcdctl(input string, args ...string) (string, error) {
	command := exec.Command(filepath.Join(bin, "etcdctl"), append([]string{"--endpoints=" + s.address, "--command-timeout=3m"}, args...)...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return string(out), err
}

func (s *server) must(t *testing.T, input string, args ...string) {
	t.Helper()
	if out, err := s.etcdctl(input, args...); err != nil {
		t.Fatalf("etcdctl %v: %v\n%s", args, err, out)
	}
}

// work has it do some of everything that is measured, and waits until all of it has been seen.
func (s *server) work(t *testing.T) {
	t.Helper()
	for i := range 10 {
		s.must(t, "", "put", fmt.Sprintf("/registry/things/%d", i), strings.Repeat("value ", 100))
	}
	s.must(t, "\n\nput /registry/a 1\nput /registry/b 2\n\n\n", "txn", "-i")
	s.must(t, "", "get", "--prefix", "/registry/")
	s.must(t, "", "del", "/registry/things/1")
	s.must(t, "", "lease", "grant", "100")
	s.must(t, "", "endpoint", "status")
}

// fill writes until it may not any more.
func (s *server) fill(t *testing.T) {
	t.Helper()
	for i := range 100 {
		out, err := s.etcdctl(strings.Repeat("x", 300_000), "put", fmt.Sprint("big", i))
		if err != nil {
			if !strings.Contains(out, "database space exceeded") {
				t.Fatalf("put: %v\n%s", err, out)
			}
			return
		}
	}
	t.Fatal("30 MB are more than the quota, and have been taken")
}

// until scrapes it until the metric has the value.
func (s *server) until(t *testing.T, name string, want float64) map[string]metric {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		metrics := scrape(t, s.ops)
		for _, m := range metrics {
			if m.labels.Get(model.MetricNameLabel) == name && m.value == want {
				return metrics
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not become %v", name, want)
		}
	}
}

// database is a PostgreSQL of the test's own.
type database struct {
	url  string
	stop func()
}

func startPostgres(t *testing.T) database {
	t.Helper()
	program := filepath.Join(bin, "test-postgres")
	if _, err := os.Stat(program); err != nil {
		t.Skip("SKIPPED: there is no PostgreSQL, as build/bin/test-postgres is not built")
	}
	command := exec.Command(program)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = input.Close()
		_, _ = io.Copy(io.Discard, output)
		_ = command.Wait()
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return database{strings.TrimSpace(line), stop}
}
