package faults

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/model"
	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
)

// site is a server on a database, with clients at work, where a fault takes place.
type site struct {
	t           *testing.T
	folder      string // logs, and on SQLite the database
	file        string // SQLite's
	endpoint    string
	options     server.Options
	cluster     *postgres.Cluster // PostgreSQL's
	proxy       *proxy            // in front of it, if the row asks for one
	standby     *postgres.Cluster // if the row asks for one
	replication *proxy            // between the two, if the row asks for one
	shim        *shim             // if the row asks for one
	server      *server.Server
	load        *model.Load

	acknowledged int64 // before commits were lost

	supervisor sync.WaitGroup
	supervised chan struct{} // closed when the server is not to be started again
	exits      []int         // of the server; to be read when the supervisor has ended
	restarted  chan time.Time
}

func sqliteURL(file string) string { return (&url.URL{Scheme: "sqlite", Path: file}).String() }

// open makes the database that the row is about.
func (s *site) open(store string, settings []string) {
	s.t.Helper()
	if store == "sqlite" {
		s.file = filepath.Join(s.folder, "harikube.db")
		s.endpoint = sqliteURL(s.file)
		return
	}
	s.cluster = postgres.NewCluster(s.t, bin, s.folder, settings...)
	s.endpoint = s.cluster.URL()
}

// throughProxy has the server reach PostgreSQL by way of a proxy.
func (s *site) throughProxy() {
	s.t.Helper()
	s.proxy = newProxy(s.t, s.cluster.Address())
	s.endpoint = s.cluster.At(s.proxy.address)
}

// shim is what testdata/shim.c does to the server.
type shim struct{ control *os.File }

func (s *site) preload() {
	s.t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		s.t.Skip("NOT TESTED: there is no C compiler (cc) for the library that makes system calls fail")
	}
	library := filepath.Join(s.folder, "shim.so")
	if output, err := exec.Command(compiler, "-shared", "-fPIC", "-O2", "-o", library, "testdata/shim.c", "-ldl").CombinedOutput(); err != nil {
		s.t.Fatalf("cc: %v\n%s", err, output)
	}
	control, err := os.Create(filepath.Join(s.folder, "faults"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = control.Close() })
	s.shim = &shim{control}
	for i := range 4 {
		s.shim.set(s.t, i, 0)
	}
	s.options.Env = append(s.options.Env, "LD_PRELOAD="+library, "HARIKUBE_FAULTS="+control.Name(), "HARIKUBE_FAULTS_DATABASE="+s.file)
}

// The numbers of the control file.
const (
	clock = iota // nanoseconds
	failWrite
	failSync
	failRead
)

func (s *shim) set(t testing.TB, number int, value int64) {
	t.Helper()
	if _, err := s.control.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(value)), int64(8*number)); err != nil {
		t.Error(err)
	}
}

func (s *shim) get(t testing.TB, number int) int64 {
	t.Helper()
	var bytes [8]byte
	if _, err := s.control.ReadAt(bytes[:], int64(8*number)); err != nil {
		t.Error(err)
	}
	return int64(binary.NativeEndian.Uint64(bytes[:]))
}

// hold has another program run statements on the SQLite database and stay in their transaction; it
// returns what ends it.
func (s *site) hold(statements ...string) func() {
	s.t.Helper()
	lib := filepath.Join(build, "lib")
	home, err := exec.Command(filepath.Join(lib, "find-jdk"), "java").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	arguments := []string{"-Xmx64m", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED", "-cp", filepath.Join(lib, "*"), "testdata/Hold.java", s.file}
	holder := exec.Command(filepath.Join(strings.TrimSpace(string(home)), "bin", "java"), append(arguments, statements...)...)
	holder.Stderr = os.Stderr
	input, err := holder.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	output, err := holder.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		s.t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = input.Close()
		_ = holder.Wait()
	})
	s.t.Cleanup(end)
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		s.t.Fatalf("the program that holds the database said %q: %v", line, err)
	}
	return end
}

// supervise starts the server again whenever it ends, at once, as systemd or a kubelet would after a
// moment.
func (s *site) supervise() {
	s.supervised, s.restarted = make(chan struct{}), make(chan time.Time, 100)
	s.supervisor.Go(func() {
		for {
			select {
			case <-s.supervised:
				return
			case <-s.server.Done():
			}
			select {
			case <-s.supervised:
				return
			default:
			}
			s.exits = append(s.exits, s.server.ExitCode())
			if err := s.server.Run(); err != nil {
				s.t.Error(err)
				return
			}
			s.restarted <- time.Now()
		}
	})
	s.t.Cleanup(s.endSupervision)
}

func (s *site) endSupervision() {
	if s.supervised == nil {
		return
	}
	close(s.supervised)
	s.supervisor.Wait()
	s.supervised = nil
}

// recovered waits until everything works for a new client, and fails the test if that takes too long.
func (s *site) recovered(since time.Time) time.Duration {
	s.t.Helper()
	client := server.Client(s.t, s.server.Address)
	defer client.Close()
	for {
		err := s.works(client)
		took := time.Since(since)
		switch {
		case err == nil && took <= recoverWithin:
			return took
		case err == nil:
			s.t.Errorf("everything works again only after %.1f s", took.Seconds())
			return took
		case took > 2*recoverWithin:
			s.t.Errorf("%.0f s after the fault is over: %v", took.Seconds(), err)
			return took
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// works does one of each.
func (s *site) works(client *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	const key = "/probe"
	// The watch is there before the put.
	now, err := client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	watch := client.Watch(ctx, key, clientv3.WithRev(now.Header.Revision+1), clientv3.WithCreatedNotify())
	if created, ok := <-watch; !ok || created.Err() != nil {
		return fmt.Errorf("watch: %v", errors.Join(created.Err(), ctx.Err()))
	}
	lease, err := client.Grant(ctx, 60)
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	put, err := client.Put(ctx, key, "works", clientv3.WithLease(lease.ID))
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if event, ok := <-watch; !ok || len(event.Events) != 1 || event.Events[0].Kv.ModRevision != put.Header.Revision {
		return fmt.Errorf("the watch had not the put of revision %d but %v", put.Header.Revision, event)
	}
	got, err := client.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	if len(got.Kvs) != 1 || got.Kvs[0].ModRevision != put.Header.Revision {
		return fmt.Errorf("the get had not the put of revision %d but %v", put.Header.Revision, got.Kvs)
	}
	if _, err := client.KeepAliveOnce(ctx, lease.ID); err != nil {
		return fmt.Errorf("keep-alive: %w", err)
	}
	if _, err := client.Revoke(ctx, lease.ID); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if status, body, err := s.ask(ctx, "/readyz"); err != nil || status != http.StatusOK {
		return fmt.Errorf("/readyz: %d %s %v", status, body, err)
	}
	return nil
}

// oneByOne makes a connection for each request.
var oneByOne = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// ask asks the port of metrics and health checks.
func (s *site) ask(ctx context.Context, path string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.server.Ops+path, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := oneByOne.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, strings.TrimSpace(string(body)), err
}

var healthPaths = []string{"/livez", "/metrics", "/readyz"}

// healthy asks once before the fault, since the first answer takes longer than all others.
func (s *site) healthy() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, path := range healthPaths {
		if status, body, err := s.ask(ctx, path); err != nil || status != http.StatusOK {
			s.t.Fatalf("%s before the fault: %d %s %v", path, status, body, err)
		}
	}
}

// health is what a server said of itself during a fault.
type health struct {
	s    *site
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex // of what each path has answered
	unready bool
	wrong   map[string]int
	ended   map[string]int // those of wrong whose connection was ended without an answer
	first   map[string]string
}

// observe asks for the health of a server over and over. It is alive, and has metrics, whatever the
// database does.
func (s *site) observe() *health {
	ctx, stop := context.WithCancel(context.Background())
	h := &health{s: s, stop: stop, wrong: map[string]int{}, ended: map[string]int{}, first: map[string]string{}}
	began := time.Now()
	for _, path := range healthPaths {
		h.done.Go(func() {
			for ctx.Err() == nil {
				asking, cancel := context.WithTimeout(ctx, healthWithin)
				asked := time.Now()
				status, body, err := s.ask(asking, path)
				cancel()
				if ctx.Err() != nil {
					return
				}
				h.mu.Lock()
				switch {
				case path == "/readyz":
					h.unready = h.unready || status != http.StatusOK
				case err != nil || status != http.StatusOK:
					if errors.Is(err, io.EOF) {
						h.ended[path]++
					}
					if h.wrong[path]++; h.wrong[path] == 1 {
						h.first[path] = fmt.Sprintf("%.1f s after the fault began, in %.1f s: %d %s %v",
							asked.Sub(began).Seconds(), time.Since(asked).Seconds(), status, body[:min(len(body), 200)], err)
					}
				}
				h.mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(300 * time.Millisecond):
				}
			}
		})
	}
	return h
}

func (h *health) check(r *row) {
	h.stop()
	h.done.Wait()
	if r.stopsServer {
		return
	}
	for path, times := range h.wrong {
		// The JDK's server goes by the wall clock when it ends connections that say nothing: when that is set ahead, one that has just
		// come may be among them.
		if r.setsClock && times == h.ended[path] {
			continue
		}
		h.s.t.Errorf("%s was not well %d times, first %s", path, times, h.first[path])
	}
	if r.refusesPuts && !h.unready {
		h.s.t.Error("/readyz said ok while puts were refused")
	}
}

// logHas says whether the server has written a line with a level and words to its log.
func (s *site) logHas(words ...string) bool {
	text, err := os.ReadFile(s.server.Log())
	if err != nil {
		s.t.Error(err)
	}
lines:
	for line := range strings.Lines(string(text)) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		return true
	}
	return false
}
