// Package crash kills HariKube, or PostgreSQL under it, while clients write and watch, and checks
// that what was acknowledged is there, and nothing else.
package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/e2e/postgres"
	"harikube.io/e2e/server"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	prefix  = "/crash/"
	writers = 8
	// A crash comes after this many acknowledged writes of a round, and up to as many more.
	writesBeforeCrash = 250
	// So many come after PostgreSQL is back.
	writesAfterCrash = 100
	retryAfter       = 20 * time.Millisecond
	// within is for everything that only takes so long when it hangs.
	within = time.Minute
	// attemptWithin is how long a writer waits for its answer.
	attemptWithin = 10 * time.Second
)

// TestServerCrash kills the server; a new one takes its place on the same data.
func TestServerCrash(t *testing.T) {
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			folder := folder(t, "server-"+store)
			endpoint := url.URL{Scheme: "sqlite", Path: filepath.Join(folder, "harikube.db")}
			database := endpoint.String()
			if store == "postgres" {
				database = postgres.Database(t, bin)
			}
			s := server.HariKube(t, bin, folder, database)
			l := newLoad(t, s.Address)
			for round := range rounds(t, "HARIKUBE_CRASH_ROUNDS", 3) {
				began := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				stopped := l.write(ctx, nil)
				l.acknowledged(writesBeforeCrash + rand.IntN(writesBeforeCrash))
				s.Kill()
				cancel() // the client would go on trying
				stopped.Wait()
				if round%3 == 2 { // and again before it is ready
					s.Launch(t)
					s.Kill()
				}
				s.Start(t)
				l.check(round, began)
			}
			l.checkAll()
		})
	}
}

// TestPostgresCrash kills PostgreSQL; the server stays, and so do its clients.
func TestPostgresCrash(t *testing.T) {
	database := postgres.Start(t, bin)
	s := server.HariKube(t, bin, folder(t, "postgres"), database.URL)
	l := newLoad(t, s.Address)
	for round := range rounds(t, "HARIKUBE_POSTGRES_CRASH_ROUNDS", 2) {
		began := time.Now()
		over := make(chan struct{})
		stopped := l.write(t.Context(), over)
		l.acknowledged(writesBeforeCrash + rand.IntN(writesBeforeCrash))
		database.Crash(t)
		l.acknowledged(writesAfterCrash)
		close(over)
		stopped.Wait()
		l.check(round, began)
	}
	l.checkAll()
}

// load is what writes and watches, and what it has been told.
type load struct {
	t       *testing.T
	address string
	client  *clientv3.Client
	watch   []*watcher

	mu     sync.Mutex
	change *sync.Cond // of acks
	acks   []ack
	maybe  []attempt // without an answer
	never  []attempt // refused
	serial int

	history history
}

func newLoad(t *testing.T, address string) *load {
	l := &load{t: t, address: address, client: server.Client(t, address), history: history{live: map[string]event{}}}
	l.change = sync.NewCond(&l.mu)
	t.Cleanup(func() { _ = l.client.Close() })
	for _, p := range []string{prefix, prefix, prefix + "own/3/", prefix + "shared/"} {
		l.watch = append(l.watch, &watcher{prefix: p, client: server.Client(t, address)})
	}
	// The second has the client resume it; the others do that themselves.
	for i, w := range l.watch {
		ctx, cancel := context.WithCancel(context.Background())
		w.changed = sync.NewCond(&w.mu)
		var done sync.WaitGroup
		done.Go(func() { w.run(ctx, i != 1) })
		t.Cleanup(func() {
			cancel()
			_ = w.client.Close()
			done.Wait()
		})
	}
	return l
}

// acknowledged waits for more acknowledged writes than there are.
func (l *load) acknowledged(more int) {
	l.t.Helper()
	timer := time.AfterFunc(within, l.change.Broadcast)
	defer timer.Stop()
	deadline := time.Now().Add(within)
	l.mu.Lock()
	defer l.mu.Unlock()
	for target := len(l.acks) + more; len(l.acks) < target; l.change.Wait() {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d of %d writes in %s", more-(target-len(l.acks)), more, within)
		}
	}
}

// write starts the writers. They end at their first error, or, if over is not nil, when it is closed.
func (l *load) write(ctx context.Context, over <-chan struct{}) *sync.WaitGroup {
	var running sync.WaitGroup
	for id := range writers {
		running.Go(func() {
			client := server.Client(l.t, l.address)
			defer client.Close()
			w := writer{id: id, load: l, client: client}
			for {
				err := w.one(ctx)
				if err != nil && over == nil {
					return
				}
				select {
				case <-over:
					return
				default:
				}
				if err != nil { // an outage: some attempts, not thousands
					<-time.After(retryAfter)
				}
			}
		})
	}
	return &running
}

// folder is kept after the test, logs and all; the next one starts anew.
func folder(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(build, "test-data", "crash", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func rounds(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", variable, err))
	}
	return n
}
